"""The gate of a dataset: its waterfall, what other settings would do, the completions behind it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from pydantic import ValidationError

from distill import tasks
from distill.forms.completions import read_after
from distill.forms.gate import GateForm
from distill.http import AuthedRequest, has_role, render_partial, require_role
from distill.logic.errors import DistillError
from distill.logic.judge_columns import dimensions_of
from distill.logic.recipe import default_recipe
from distill.logic.what_if import GROUPS, Settings
from distill.models import Dataset
from distill.queries.gate_page import behind, read_gate, words_for
from distill.queries.gate_report import count_samples
from distill.queries.snapshot import Snapshot, base_content, base_recipe, load_snapshot
from distill.services.save_gate import save_gate
from distill.services.snapshots import count_candidates, take_snapshot

TAKEN_AT_ONCE = 2_000
"""A snapshot of so many completions is taken while the person waits (about a second)."""


@require_role("lead", "operator")
@require_safe
def gate(request: AuthedRequest, pk: int) -> HttpResponse:
    """What the gate does to the dataset's completions, and what it would do if set as asked."""
    dataset = get_object_or_404(Dataset, pk=pk)
    snapshot = load_snapshot(dataset)
    context: dict[str, object] = {
        "dataset": dataset,
        "snapshot": snapshot,
        "may_change": has_role(request.user, "operator"),
        "num_candidates": count_candidates(dataset, limit=TAKEN_AT_ONCE),
    }
    if snapshot is None:
        return render(request, "distill/gate.html", context)
    recipe = base_recipe(dataset)
    content = recipe.content if recipe else default_recipe()
    base = Settings.of(content)
    form = _form(request.GET, base, snapshot)
    group = request.GET.get("by", "")
    group = group if group in GROUPS else GROUPS[0]
    asked = form.settings if form.is_valid() else base
    page = read_gate(
        snapshot,
        dataset,
        base=base,
        asked=asked,
        query=_carried(request.GET),
        group=group,
        num_asked=count_samples(dataset) * content.teacher.draws,
    )
    context |= {
        "form": form,
        "page": page,
        "group": group,
        "groups": GROUPS,
        "narrowed": {name: request.GET[name] for name in GROUPS if name in request.GET},
        "base": recipe,
        "is_stale": snapshot.is_stale,
        "query": urlencode(_carried(request.GET)),
    }
    return render_partial(request, "distill/gate.html", context, partial="outcome")


@require_role("lead", "operator")
@require_safe
def gate_completions(request: AuthedRequest, pk: int) -> HttpResponse:
    """The completions behind a number of the page, under the same settings."""
    dataset = get_object_or_404(Dataset, pk=pk)
    snapshot = load_snapshot(dataset)
    if snapshot is None:
        return redirect("distill:gate", pk)
    base = Settings.of(base_content(dataset))
    form = _form(request.GET, base, snapshot)
    asked = form.settings if form.is_valid() else base
    query, show = _carried(request.GET), request.GET.get("show", "all")
    after = read_after(request.GET.get("after"))
    try:
        found = behind(snapshot, asked, show=show, query=query, after=after)
    except (KeyError, ValueError) as error:
        raise Http404("There is no such number.") from error
    context = {
        "dataset": dataset,
        "found": found,
        "what": words_for(show),
        "query": urlencode(query | {"show": show}),
        "back": urlencode(query),
        "is_first": after is None,
    }
    return render(request, "distill/gate_completions.html", context)


@require_role("lead", "operator")
@require_POST
def refresh_gate(request: AuthedRequest, pk: int) -> HttpResponse:
    """Take the snapshot anew: at once where it is small, else by a worker. Twice is harmless."""
    dataset = get_object_or_404(Dataset, pk=pk)
    if count_candidates(dataset, limit=TAKEN_AT_ONCE) <= TAKEN_AT_ONCE:
        take_snapshot(dataset=dataset)
    else:
        tasks.enqueue_snapshot(dataset.pk)
        messages.info(request, "A worker looks at all completions anew; come back in a minute.")
    return redirect("distill:gate", pk)


@require_role("operator")
@require_POST
def save_gate_view(request: AuthedRequest, pk: int) -> HttpResponse:
    """Keep the settings as a new version of the recipe, and offer to decide anew with it."""
    dataset = get_object_or_404(Dataset, pk=pk)
    snapshot = load_snapshot(dataset)
    if snapshot is None:
        return redirect("distill:gate", pk)
    form = _form(request.POST, Settings.of(base_content(dataset)), snapshot)
    if not form.is_valid():
        messages.error(request, "Nothing was saved: a value is out of its range.")
        address = reverse("distill:gate", args=[pk])
        return redirect(f"{address}?{urlencode(_carried(request.POST))}")
    try:
        recipe = save_gate(dataset=dataset, settings=form.settings, user=request.user)
    except (DistillError, ValidationError) as error:
        messages.error(request, f"Nothing was saved: {error}")
        return redirect("distill:gate", pk)
    messages.success(
        request,
        f"These settings are version {recipe.version} of the recipe {recipe.name}. A run of the "
        "kind “Re-evaluate” decides the answers that are there anew with it, and asks no model.",
    )
    chosen = urlencode({"dataset": pk, "recipe": recipe.pk, "kind": "reevaluate"})
    return redirect(f"{reverse('distill:start_run')}?{chosen}")


def _form(data: QueryDict, base: Settings, snapshot: Snapshot) -> GateForm:
    return GateForm(data.dict(), base=base, dimensions=dimensions_of(snapshot.frame))


def _carried(data: QueryDict) -> dict[str, str]:
    """What of an address every link on the page keeps: the settings, and what it is narrowed to."""
    dropped = {"show", "after", "by", "csrfmiddlewaretoken"}
    return {name: str(value) for name, value in data.dict().items() if name not in dropped}
