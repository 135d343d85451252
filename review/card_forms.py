"""What the review screen sends."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.logic.storable import storable
from distill.models import Decision
from review.logic.edited_fields import MOST_CHARS, posted_fields
from review.logic.leases import HAND_SIZE
from review.models import Adjudication

_LONGEST_MS = 24 * 3600 * 1000
_LARGEST_ID = 2**63 - 1
LEFT, RIGHT = "left", "right"
_KINDS = (
    *(Decision.Kind.ACCEPT, Decision.Kind.REJECT, Decision.Kind.EDIT, Decision.Kind.SKIP),
    *(Decision.Kind.FLAG, Decision.Kind.TIE),
)


class CardForm(forms.Form):
    """Which card, and the proof that it was given to the sender."""

    slot = forms.IntegerField(min_value=1, max_value=_LARGEST_ID)
    proof = forms.CharField(max_length=500)


class DecisionForm(CardForm):
    """One decision on the slot of a card. `left` and `right` are the sides of a comparison."""

    client_id = forms.UUIDField()
    kind = forms.ChoiceField(
        choices=[*((kind.value, kind.label) for kind in _KINDS), (LEFT, LEFT), (RIGHT, RIGHT)]
    )
    reason = forms.TypedChoiceField(
        choices=[(reason.value, reason.label) for reason in REVIEWER_REASONS],
        coerce=Reason,
        required=False,
        empty_value=None,
        error_messages={"invalid_choice": "That is not a reason that a reviewer gives."},
    )
    note = forms.CharField(max_length=2000, required=False)
    fields_json = forms.CharField(max_length=2 * MOST_CHARS, required=False, strip=False)
    active_ms = forms.CharField(required=False)

    def clean_active_ms(self) -> int | None:
        # Only a measurement: when it is broken, the decision still counts.
        text = self.cleaned_data["active_ms"]
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        return min(int(text), _LONGEST_MS) if is_number else None

    def clean_fields_json(self) -> dict[str, str] | None:
        """The words of an edit, by the name of their field."""
        text: str = self.cleaned_data["fields_json"]
        if not text:
            return None
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise forms.ValidationError("An edit is a text for each field.")
        return {name: storable(words) for name, words in given.items()}

    def clean(self) -> dict[str, Any]:
        """Without the script an edit's words come each in a field of their own."""
        cleaned = super().clean() or {}
        if cleaned.get("kind") == Decision.Kind.EDIT and not cleaned.get("fields_json"):
            cleaned["fields_json"] = posted_fields(
                {name: str(value) for name, value in self.data.items()}
            )
        return cleaned

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reason, where the decision takes one: a chosen digit means nothing to an accept."""
        reason = self.cleaned_data["reason"]
        return (reason,) if reason and self.cleaned_data["kind"] == "reject" else ()

    @property
    def edited(self) -> dict[str, str] | None:
        """The words of an edit; None for every other decision."""
        is_edit = self.cleaned_data["kind"] == Decision.Kind.EDIT
        return self.cleaned_data["fields_json"] if is_edit else None


class UndoForm(forms.Form):
    """Take back the last decision, or the one named."""

    client_id = forms.UUIDField()
    decision = forms.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False)


class ReadForm(forms.Form):
    """Which version of the guidelines was read."""

    version = forms.IntegerField(min_value=1, max_value=2**31 - 1)


class HandForm(forms.Form):
    """How many cards the page wants to hold, and which slots' cards it has."""

    hand = forms.IntegerField(min_value=1, max_value=HAND_SIZE, required=False)
    have = forms.CharField(max_length=200, required=False)

    @property
    def size(self) -> int:
        """One without a script, which cannot show a second."""
        return (self.cleaned_data.get("hand") if self.is_valid() else None) or 1

    @property
    def slots(self) -> set[int]:
        """The slots whose cards are in the page already."""
        given = self.cleaned_data.get("have", "") if self.is_valid() else ""
        return {int(one) for one in given.split() if one.isascii() and one.isdigit()}


class LeaveForm(forms.Form):
    """When the leases ended that the page knows of, and which slots wait behind its card."""

    until = forms.DateTimeField(input_formats=["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"])
    waiting = forms.CharField(max_length=200, required=False)

    @property
    def slots(self) -> set[int]:
        given = self.cleaned_data["waiting"].split()
        return {int(one) for one in given if one.isascii() and one.isdigit()}


class AdjudicationForm(forms.Form):
    """How a lead settles one completion."""

    completion = forms.IntegerField(min_value=1, max_value=_LARGEST_ID)
    client_id = forms.UUIDField()
    kind = forms.ChoiceField(choices=[("accept", "Accept"), ("reject", "Reject")])
    reason = forms.TypedChoiceField(
        choices=[(reason.value, reason.label) for reason in REVIEWER_REASONS],
        coerce=Reason,
        required=False,
        empty_value=None,
    )
    note = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Why: reviewers see it on their own page.",
    )
    cause = forms.ChoiceField(
        label="Why people disagreed", choices=Adjudication.Cause.choices, widget=forms.RadioSelect
    )
    wants_guidelines = forms.BooleanField(
        label="The guidelines should say more about this", required=False
    )

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reason of a rejection; an accept takes none."""
        reason = self.cleaned_data["reason"]
        return (reason,) if reason and self.cleaned_data["kind"] == "reject" else ()


class ReopenForm(forms.Form):
    """Which adjudication is taken back."""

    decision = forms.IntegerField(min_value=1, max_value=_LARGEST_ID)
