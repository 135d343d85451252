"""Where leads settle what reviewers disagree on."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from distill.http import AuthedRequest, require_role
from distill.logic.errors import ConflictError, InputError
from review.card_forms import AdjudicationForm, ReopenForm
from review.logic.keys import reason_keys
from review.models import Queue
from review.queries.unsettled import last_settled, next_unsettled, unsettled_ids
from review.services.adjudicate import adjudicate, reopen


@never_cache
@require_role("lead")
@require_http_methods(["GET", "HEAD", "POST"])
def adjudicate_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """One completion after the other, with what people said of it and no names."""
    queue = get_object_or_404(Queue.objects.select_related("dataset"), pk=queue_id)
    form = AdjudicationForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid() and _settle(request, queue, form):
        return redirect("review:adjudicate", queue_id)
    ids = unsettled_ids(queue_id=queue_id)
    context = {
        "queue": queue,
        "form": form,
        "num_waiting": len(ids),
        "unsettled": next_unsettled(ids, reader=request.user),
        "settled": last_settled(queue),
        "reason_keys": reason_keys(queue.reject_reasons),
        "client_id": uuid.uuid4(),
    }
    status = 422 if form.is_bound else 200
    return render(request, "review/adjudicate.html", context, status=status)


def _settle(request: AuthedRequest, queue: Queue, form: AdjudicationForm) -> bool:
    given = form.cleaned_data
    try:
        decision = adjudicate(
            queue_id=queue.pk,
            completion_id=given["completion"],
            adjudicator=request.user,
            kind=given["kind"],
            reasons=form.reasons,
            note=given["note"],
            cause=given["cause"],
            wants_guidelines=given["wants_guidelines"],
            client_id=given["client_id"],
        )
    except (ConflictError, InputError) as error:
        form.add_error(None, str(error))
        return False
    done = "accepted" if decision.kind == "accept" else "rejected"
    messages.success(request, f"Settled: {done}. It is the label now.")
    return True


@require_role("lead")
@require_POST
def reopen_adjudication(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Take an adjudication back; the completion waits for a lead again."""
    get_object_or_404(Queue, pk=queue_id)
    form = ReopenForm(request.POST)
    try:
        if form.is_valid():
            reopen(decision_id=form.cleaned_data["decision"])
            messages.success(request, "Open again: what the reviewers said counts.")
        else:
            messages.error(request, "Nothing was reopened: say which adjudication.")
    except (ConflictError, InputError) as error:
        messages.error(request, str(error))
    return redirect("review:adjudicate", queue_id)
