"""What happens to cards that are held, beside their decision: more time, leaving, the judge."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from distill.http import AuthedRequest, HttpResponseConflict, require_role
from distill.logic.errors import ConflictError, InputError
from review.card_forms import CardForm, LeaveForm
from review.logic.leases import seconds_left
from review.models import Queue
from review.queries.judged import judgements_of
from review.queries.proof import read_proof
from review.services.extend import extend_leases
from review.services.leave import leave_cards
from review.services.reveal import reveal_judge
from review.views.queue import posted


@require_role("reviewer", "lead")
@posted
def extend(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Begin the time with the cards anew, and say when it ends."""
    get_object_or_404(Queue, pk=queue_id)
    now = timezone.now()
    until = extend_leases(queue_id=queue_id, reviewer=request.user, now=now)
    if not request.htmx:
        return redirect("review:queue", queue_id)
    return JsonResponse({"until": until.isoformat(), "seconds": seconds_left(until=until, now=now)})


@require_role("reviewer", "lead")
@posted
def leave(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Give back the cards that wait; sent by the browser while the page goes away."""
    get_object_or_404(Queue, pk=queue_id)
    form = LeaveForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Say until when the page held its cards.")
    leave_cards(
        queue_id=queue_id,
        reviewer=request.user,
        waiting=form.slots,
        until=form.cleaned_data["until"],
        now=timezone.now(),
    )
    return HttpResponse(status=204)


@require_role("reviewer", "lead")
@posted
def judge(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Show what the judges said of a card; the decision will say that it was seen."""
    get_object_or_404(Queue, pk=queue_id)
    form = CardForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Say which card.")
    slot_id = form.cleaned_data["slot"]
    try:
        read_proof(
            form.cleaned_data["proof"],
            slot_id=slot_id,
            queue_id=queue_id,
            reviewer_id=request.user.pk,
        )
        slot = reveal_judge(slot_id=slot_id, reviewer=request.user)
    except (ConflictError, InputError) as error:
        if request.htmx:
            return HttpResponseConflict(str(error), content_type="text/plain")
        messages.info(request, str(error))
        return redirect("review:queue", queue_id)
    if not request.htmx:
        return redirect("review:queue", queue_id)
    judgements = judgements_of([slot.completion_id]).get(slot.completion_id, [])
    return render(request, "review/card_judge.html", {"judgements": judgements})
