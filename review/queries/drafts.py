"""The edits that a reviewer has begun, as the forms of their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import User

from distill.logic.errors import InputError
from distill.models import Completion
from review.logic.panes import panes
from review.models import Draft, Slot


@dataclass(frozen=True, slots=True)
class EditField:
    """One field of an edit: the answer's own text, and the reviewer's words for it."""

    name: str
    label: str
    original: str
    text: str


@dataclass(frozen=True, slots=True)
class EditForm:
    """What the form of an edit begins with; `saved_at` where that is a draft."""

    fields: tuple[EditField, ...]
    saved_at: datetime | None = None


def edit_forms(completions: Sequence[Completion], *, reviewer: User) -> dict[int, EditForm]:
    """By completion the form of its edit, in one query; an answer without fields has an empty one."""
    drafts = {
        draft.completion_id: draft
        for draft in Draft.objects.filter(completion__in=completions, reviewer=reviewer)
    }
    return {one.pk: _form(one, drafts.get(one.pk)) for one in completions}


def edit_form(completion: Completion, words: Mapping[str, str]) -> EditForm:
    """The form with these words in it, where the answer has a field for them."""
    if not completion.fields:
        return EditForm(())
    found = panes(completion.fields, text="")
    return EditForm(
        tuple(
            EditField(pane.name, pane.label, pane.text, words.get(pane.name, pane.text))
            for pane in found
        )
    )


def _form(completion: Completion, draft: Draft | None) -> EditForm:
    if draft is None:
        return edit_form(completion, {})
    return replace(edit_form(completion, draft.fields), saved_at=draft.updated_at)


def edited_slot(slot_id: int) -> Slot:
    """The slot whose completion is edited. Raises InputError where it is gone."""
    slot = Slot.objects.select_related("completion__sample").filter(pk=slot_id).first()
    if slot is None:
        raise InputError("This card no longer exists: its queue or its dataset has been deleted.")
    return slot
