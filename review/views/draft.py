"""The edit of a card while it is written: kept, compared, looked at by the rules."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache

from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import ConflictError, InputError
from review.card_forms import CardForm
from review.logic.edited_fields import posted_fields
from review.models import Queue, Slot
from review.queries.drafts import edit_form, edit_forms, edited_slot
from review.queries.edit_check import check_edit
from review.queries.proof import read_proof
from review.services.save_draft import save_draft


@never_cache
@require_role("reviewer", "lead")
def draft(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Keep the draft and answer with what its check says; without fields, open the edit's page."""
    if request.method != "POST":
        return redirect("review:queue", queue_id)
    queue = get_object_or_404(Queue.objects.select_related("dataset"), pk=queue_id)
    form = CardForm(request.POST)
    if not form.is_valid():
        return _refuse(request, queue_id, "The draft was not saved: reload the page of its card.")
    given = form.cleaned_data
    try:
        read_proof(
            given["proof"],
            slot_id=given["slot"],
            queue_id=queue_id,
            reviewer_id=request.user.pk,
        )
        slot = edited_slot(given["slot"])
    except InputError as error:
        return _refuse(request, queue_id, str(error))
    about = {"queue": queue, "slot": slot, "proof": given["proof"], "decision_key": uuid.uuid4()}
    words = posted_fields(request.POST.dict())
    if not words:
        return _open(request, slot, about)
    return _keep(request, slot, words, about)


def _open(request: AuthedRequest, slot: Slot, about: Mapping[str, object]) -> HttpResponse:
    """The edit's own page, for who has no script: with the draft that was kept, if there is one."""
    edit = edit_forms([slot.completion], reviewer=request.user)[slot.completion_id]
    return render(request, "review/edit.html", {**about, "edit": edit, "saved_at": edit.saved_at})


def _keep(
    request: AuthedRequest, slot: Slot, words: Mapping[str, str], about: Mapping[str, object]
) -> HttpResponse:
    """Save the words. What is not saved is still on the page that says why."""
    saved_at, problem, status = None, "", 200
    try:
        kept = save_draft(slot_id=slot.pk, reviewer=request.user, fields=words)
        saved_at = kept.updated_at if kept else None
    except ConflictError as error:
        problem, status = str(error), 409
    except InputError as error:
        problem, status = str(error), 422
    is_whole = set(words) == set(slot.completion.fields)
    context = {
        **about,
        "edit": edit_form(slot.completion, words),
        "check": check_edit(slot.completion, words) if is_whole else None,
        "saved_at": saved_at,
        "problem": problem,
    }
    return render_partial(request, "review/edit.html", context, partial="edit_check", status=status)


def _refuse(request: AuthedRequest, queue_id: int, said: str) -> HttpResponse:
    if request.htmx:
        return render(request, "review/edit_check.html", {"problem": said}, status=422)
    messages.error(request, said)
    return redirect("review:queue", queue_id)
