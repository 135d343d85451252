"""The screen on which people decide, behind the guidelines that they read first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from distill.http import AuthedRequest, has_role, require_role
from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.models import Decision
from review.card_forms import LEFT, RIGHT, DecisionForm, HandForm, ReadForm, UndoForm
from review.logic.keys import PLACES, key_map, reason_keys
from review.logic.leases import seconds_left
from review.models import Queue, Slot
from review.queries.guidelines import guidelines_of
from review.queries.own_keys import own_keys
from review.queries.proof import read_proof
from review.queries.screen import is_swapped, review_screen
from review.services.read import read_guidelines
from review.services.settle import Settled, Standing, settle_slot
from review.services.take import take_cards
from review.services.undo import undo_last
from review.views.today import midnight

QueueView = Callable[[AuthedRequest, int], HttpResponse]

_DONE = {
    Decision.Kind.ACCEPT: "Accepted",
    Decision.Kind.REJECT: "Rejected",
    Decision.Kind.EDIT: "Accepted with your words",
    Decision.Kind.SKIP: "Skipped",
    Decision.Kind.FLAG: "Put before a lead",
    Decision.Kind.PREFER: "Compared",
    Decision.Kind.PREFER_RIVAL: "Compared",
    Decision.Kind.TIE: "Compared: neither is better",
}
_NOTES = {
    Standing.COUNTED: "",
    Standing.LATE: " The lease had ended, but it counts: nobody had taken the card.",
    Standing.EXTRA: " Kept as a further opinion: somebody else had been given the card.",
    Standing.REPEATED: " It had been saved before; nothing was changed.",
}


@never_cache
@require_safe
@require_role("reviewer", "lead")
def queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    return _show(request, queue_id)


def posted(view: QueueView) -> QueueView:
    """Changes by POST alone; who comes here by GET (back from the login) finds the queue."""

    @functools.wraps(view)
    def guarded(request: AuthedRequest, queue_id: int) -> HttpResponse:
        if request.method != "POST":
            return redirect("review:queue", queue_id)
        return view(request, queue_id)

    return guarded


@require_role("reviewer", "lead")
@posted
def claim(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Take a card, or as many as the page wants to hold."""
    get_object_or_404(Queue, pk=queue_id)
    return _answer(request, queue_id, _take(request, queue_id))


@never_cache
@require_safe
@require_role("reviewer", "lead", "operator")
def guidelines(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """The text by itself, reachable from every card."""
    queue = get_object_or_404(Queue.objects.select_related("dataset"), pk=queue_id)
    context = {
        "queue": queue,
        "guidelines": guidelines_of(queue, reader=request.user),
        "may_review": has_role(request.user, "reviewer", "lead"),
    }
    return render(request, "review/guidelines.html", context)


@require_role("reviewer", "lead")
@posted
def read(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Having read the guidelines opens the queue's cards, and takes the first."""
    get_object_or_404(Queue, pk=queue_id)
    form = ReadForm(request.POST)
    if not form.is_valid():
        return _answer(request, queue_id, _first_error(form))
    version = form.cleaned_data["version"]
    try:
        read_guidelines(queue_id=queue_id, reviewer=request.user, version=version)
    except ConflictError as error:
        return _answer(request, queue_id, str(error))
    return _answer(request, queue_id, _take(request, queue_id))


def _take(request: AuthedRequest, queue_id: int, *, renews: bool = True) -> str:
    """Put cards before the person; what is said where the queue gives none yet."""
    count = HandForm(request.POST).size
    try:
        take_cards(
            queue_id=queue_id,
            reviewer=request.user,
            count=count,
            renews=renews,
            now=timezone.now(),
        )
    except ConflictError as error:
        return str(error)
    return ""


@require_role("reviewer", "lead")
@posted
def decide(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Store a decision and bring the next card."""
    get_object_or_404(Queue, pk=queue_id)
    now = timezone.now()
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _answer(request, queue_id, _first_error(form))
    try:
        said = _say(_settle(request, queue_id, form, now))
    except (ConflictError, InputError) as error:
        said = str(error)
    # Where the guidelines have changed meanwhile, the screen shows them in place of a card.
    # The script's page renews its leases by itself, while somebody works.
    _take(request, queue_id, renews=not request.htmx)
    return _answer(request, queue_id, said)


@require_role("reviewer", "lead")
@posted
def undo(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Take a decision back; its card comes before all others."""
    form = UndoForm(request.POST)
    if not form.is_valid():
        return _answer(request, queue_id, _first_error(form))
    try:
        undone = undo_last(
            queue_id=queue_id,
            reviewer=request.user,
            client_id=form.cleaned_data["client_id"],
            decision_id=form.cleaned_data["decision"],
            now=timezone.now(),
        )
    except (ConflictError, InputError) as error:
        return _answer(request, queue_id, str(error))
    said = (
        "Taken back: decide it again."
        if undone.is_back
        else ("Taken back. The card has gone to somebody else or to a later attempt meanwhile.")
    )
    return _answer(request, queue_id, said)


def _settle(request: AuthedRequest, queue_id: int, form: DecisionForm, now: datetime) -> Settled:
    data = form.cleaned_data
    token = read_proof(
        data["proof"], slot_id=data["slot"], queue_id=queue_id, reviewer_id=request.user.pk
    )
    return settle_slot(
        slot_id=data["slot"],
        reviewer=request.user,
        lease_token=token,
        kind=_kind_of(data["kind"], data["slot"], request.user.pk),
        reasons=form.reasons,
        note=data["note"],
        fields=form.edited,
        client_id=data["client_id"],
        active_ms=data["active_ms"],
        now=now,
    )


def _kind_of(said: str, slot_id: int, reviewer_id: int) -> str:
    """What a side of a comparison means: which completion stood there for this person."""
    if said not in (LEFT, RIGHT):
        return said
    card = Slot(pk=slot_id, reviewer_id=reviewer_id, rival_id=0)
    is_left = (said == LEFT) != is_swapped(card)
    return Decision.Kind.PREFER if is_left else Decision.Kind.PREFER_RIVAL


def _say(settled: Settled) -> str:
    decision = settled.decision
    reasons = ", ".join(Reason(code).label for code in decision.reasons)
    word = _DONE[Decision.Kind(decision.kind)]
    done = f"{word}: {reasons}" if reasons else word
    return f"{done}.{_NOTES[settled.standing]}"


def _first_error(form: forms.Form) -> str:
    name, errors = next(iter(form.errors.items()))
    return f"Not saved. {name}: {errors[0]}"


def _answer(request: AuthedRequest, queue_id: int, said: str) -> HttpResponse:
    """The cards that the page lacks for the script; for plain forms the way back to the page."""
    if request.htmx:
        return _show(request, queue_id, said=said)
    if said:
        messages.info(request, said)
    return redirect("review:queue", queue_id)


def _show(request: AuthedRequest, queue_id: int, *, said: str = "") -> HttpResponse:
    queue = get_object_or_404(Queue.objects.select_related("dataset"), pk=queue_id)
    now = timezone.now()
    keys = own_keys(request.user, is_pairwise=queue.mode == Queue.Mode.PAIRWISE)
    reasons = reason_keys(queue.reject_reasons)
    screen = review_screen(
        queue=queue,
        reviewer=request.user,
        now=now,
        midnight=midnight(),
        have=HandForm(request.POST).slots,
    )
    context = {
        "screen": screen,
        "seconds": seconds_left(until=screen.until, now=now),
        "said": said,
        "keys": {key.action: key for key in keys.keys},
        "deciding": [k for k in keys.keys if k.group == "decide" and k.action != "undo"],
        "looking": [key for key in keys.keys if key.group == "look"],
        "places": PLACES,
        "are_keys_on": keys.are_on,
        "reason_keys": reasons,
        "key_map": key_map(keys.keys, reasons, is_on=keys.are_on)
        | {"places": {place.key: reverse(place.url) for place in PLACES} if keys.are_on else {}},
    }
    template = "review/lane.html" if request.htmx else "review/queue.html"
    return render(request, template, context)
