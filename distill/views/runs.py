"""Runs: the list, one run while it goes on and afterwards, stop and resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from distill import tasks
from distill.http import (
    AuthedRequest,
    has_role,
    keyset_page,
    render_partial,
    require_role,
)
from distill.models import Run
from distill.queries.money import run_money
from distill.queries.progress import last_events, list_failures, live_progress
from distill.queries.run_plots import read_history
from distill.queries.runs import (
    all_runs,
    is_unpriced,
    scored_models,
    summarise_runs,
    uses_standin,
)
from distill.queries.waterfall import Waterfall, run_waterfall
from distill.services.runs import request_stop, resume_run
from distill.views.run_plots import draw_plots

PAGE_SIZE = 20
STOP_POLLING = 286
POLL_SECONDS = 2
FIRST_PLOTS_SECONDS = 5


@require_role("lead", "operator")
@require_safe
def runs(request: AuthedRequest) -> HttpResponse:
    """All runs, newest first."""
    page = keyset_page(all_runs(), after=request.GET.get("after"), size=PAGE_SIZE)
    context = {
        "page": page,
        "runs": summarise_runs(page.rows),
        "may_start": has_role(request.user, "operator"),
        "is_live": any(run.is_active for run in page.rows),
    }
    return render_partial(
        request,
        "distill/runs.html",
        context,
        partial="run-list",
        status=_poll_status(request, is_live=bool(context["is_live"])),
    )


@require_role("lead", "operator")
@never_cache
@require_safe
def run(request: AuthedRequest, run_id: int) -> HttpResponse:
    """One run. Its live parts ask for themselves again until the run has ended."""
    found = get_object_or_404(all_runs(), pk=run_id)
    target = (request.htmx.target if request.htmx else None) or ""
    wanted = (target,) if target in _PARTS else tuple(_PARTS)
    context: dict[str, object] = {
        "run": found,
        "is_standin": uses_standin(found.recipe.document, found.kind),
        "scored_model": scored_models([found]).get(found.pk),
        "may_start": has_role(request.user, "operator"),
    }
    for name in wanted:
        context |= _PARTS[name](found)
    if target == "run-log" and found.is_active and _knows_last_event(request, context):
        return HttpResponse(status=204)
    status = _poll_status(request, is_live=found.is_active)
    return render_partial(
        request, "distill/run.html", context, partial=tuple(_PARTS), status=status
    )


@require_role("operator")
@require_POST
def stop_run(request: AuthedRequest, run_id: int) -> HttpResponse:
    """Ask a run to stop. What is in flight is still stored; asking twice changes nothing."""
    found = get_object_or_404(Run, pk=run_id)
    if request_stop(run_id=run_id):
        messages.success(request, f"Run {run_id} is being stopped; what is in flight is kept.")
    else:
        found.refresh_from_db()
        messages.info(request, f"Nothing was changed: run {run_id} is {found.state} already.")
    return redirect("distill:run", run_id)


@require_role("operator")
@require_POST
def resume_run_view(request: AuthedRequest, run_id: int) -> HttpResponse:
    """Queue an ended run again. Asking twice changes nothing."""
    found = get_object_or_404(Run, pk=run_id)
    if resume_run(run_id=run_id):
        tasks.enqueue_run(run_id)
        messages.success(request, f"Run {run_id} goes on; the ledger answers what it knows.")
    else:
        found.refresh_from_db()
        messages.info(request, f"Nothing was changed: run {run_id} is {found.state} already.")
    return redirect("distill:run", run_id)


# --- the parts of a run's page ---


def _live_part(run: Run) -> dict[str, object]:
    return {
        "progress": live_progress(run, now=timezone.now()),
        "is_unpriced": is_unpriced(run),
        "answered_url": completions_url(run, {"state": "new"}),
        "filtered_url": completions_url(run, {"state": "filtered"}),
        "passed_url": completions_url(run, {"state": "passed"}),
        "rejected_url": completions_url(run, {"state": "rejected"}),
        "failed_url": completions_url(run, {"state": "failed"}),
    }


def _plots_part(run: Run) -> dict[str, object]:
    """Of a long run it is read once in a while, however many people look."""
    key = f"run-plots-{run.pk}-{run.state}"
    part: dict[str, object] | None = cache.get(key)
    if part is None:
        history = read_history(run)
        seconds = _plots_seconds(history.num_readings)
        plots = draw_plots(history)
        part = {
            "history": history,
            "plots": plots,
            "plots_seconds": seconds,
            # Drawn again every few seconds, a table would be folded while somebody reads it.
            "show_numbers": not run.is_active,
        }
        if seconds > FIRST_PLOTS_SECONDS:
            cache.set(key, part, seconds)
    return part


def _plots_seconds(num_readings: int) -> int:
    """How often to draw again: reading takes about a second for 100,000 points."""
    if num_readings <= 2_000:
        return FIRST_PLOTS_SECONDS
    return 15 if num_readings <= 20_000 else 60


def _waterfall_part(run: Run) -> dict[str, object]:
    """Of a large run it is counted once in a while, however many people look."""
    key = f"run-waterfall-{run.pk}-{run.state}"
    part: dict[str, object] | None = cache.get(key)
    if part is None:
        waterfall = run_waterfall(run)
        seconds = _waterfall_seconds(waterfall.balance.total)
        part = _drawn_waterfall(run, waterfall) | {"waterfall_seconds": seconds}
        if seconds > POLL_SECONDS:
            cache.set(key, part, seconds)
    return part


def _drawn_waterfall(run: Run, waterfall: Waterfall) -> dict[str, object]:
    return {
        "waterfall": waterfall,
        "steps": _drawn_steps(run, waterfall),
        "reasons": [
            (
                reason.label,
                count,
                completions_url(run, {"state": "rejected", "reason": reason.value}),
            )
            for reason, count in waterfall.reasons
        ],
        "failures": list_failures(run),
        "money": run_money(run, now=timezone.now()),
        "is_unpriced": is_unpriced(run),
        "failed_url": completions_url(run, {"state": "failed"}),
    }


def _waterfall_seconds(total: int) -> int:
    """How often to count again: counting takes about a second for 200,000 sample draws."""
    if total <= 5_000:
        return POLL_SECONDS
    return 15 if total <= 200_000 else 60


def _log_part(run: Run) -> dict[str, object]:
    events = last_events(run)
    return {"log": events, "last_event": events[0].pk if events else 0}


_PARTS: Mapping[str, Callable[[Run], dict[str, object]]] = {
    "run-live": _live_part,
    "run-plots": _plots_part,
    "run-waterfall": _waterfall_part,
    "run-log": _log_part,
}


def _drawn_steps(run: Run, waterfall: Waterfall) -> list[tuple[object, ...]]:
    return [
        (
            step.label,
            step.count,
            None if step.filters is None else completions_url(run, step.filters),
            [(loss.label, loss.count, completions_url(run, loss.filters)) for loss in step.losses],
        )
        for step in waterfall.steps
    ]


def completions_url(run: Run, filters: Mapping[str, str]) -> str:
    """Where the run's completions of this kind are listed."""
    return f"{reverse('distill:completions')}?{urlencode({'run': run.pk, **filters})}"


def _poll_status(request: AuthedRequest, *, is_live: bool) -> int | None:
    """286 tells htmx that this was the last fragment of an element that asks again and again."""
    return STOP_POLLING if request.htmx and not is_live else None


def _knows_last_event(request: AuthedRequest, context: Mapping[str, object]) -> bool:
    return request.GET.get("last_event") == str(context["last_event"])
