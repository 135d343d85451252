"""A run's money: another budget, and what was possibly billed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from distill import tasks
from distill.forms.prices import BudgetForm, SettleForm
from distill.http import AuthedRequest, require_role
from distill.logic.errors import DistillError
from distill.logic.prices import usd
from distill.models import Run
from distill.services.raise_budget import raise_budget
from distill.services.runs import resume_run
from distill.services.settle_lost import settle_lost


@require_role("operator")
@require_POST
def raise_budget_view(request: AuthedRequest, run_id: int) -> HttpResponse:
    """Give a run another budget, and with `resume` queue it again. Twice changes nothing."""
    get_object_or_404(Run, pk=run_id)
    form = BudgetForm(request.POST)
    if not form.is_valid():
        _say_why(request, form)
        return redirect("distill:run", run_id)
    try:
        is_changed = raise_budget(run_id=run_id, budget_nano=form.budget_nano, user=request.user)
    except DistillError as error:
        messages.error(request, str(error))
        return redirect("distill:run", run_id)
    told = f"The budget of run {run_id} is {usd(form.budget_nano)}"
    told += "" if is_changed else " already"
    if "resume" in request.POST and resume_run(run_id=run_id):
        tasks.enqueue_run(run_id)
        told += "; it goes on"
    messages.success(request, f"{told}.")
    return redirect("distill:run", run_id)


@require_role("operator")
@require_POST
def settle_lost_view(request: AuthedRequest, run_id: int) -> HttpResponse:
    """Book what was possibly billed, as a person has looked it up. Twice changes nothing."""
    get_object_or_404(Run, pk=run_id)
    form = SettleForm(request.POST)
    if not form.is_valid():
        _say_why(request, form)
        return redirect("distill:run", run_id)
    try:
        settled = settle_lost(run_id=run_id, amount_nano=form.amount_nano, user=request.user)
    except DistillError as error:
        messages.error(request, str(error))
        return redirect("distill:run", run_id)
    if settled.purchases:
        told = f"{settled.purchases:,} requests were settled at {usd(settled.nano)}."
        messages.success(request, told)
    else:
        messages.info(request, "Nothing was changed: there is nothing to settle.")
    return redirect("distill:run", run_id)


def _say_why(request: AuthedRequest, form: BudgetForm | SettleForm) -> None:
    for name, errors in form.errors.items():
        messages.error(request, f"{form.fields[name].label}: {' '.join(map(str, errors))}")
