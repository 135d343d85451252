"""What the review screen sends."""

from __future__ import annotations

from django import forms

from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.services.decide import KINDS

_LONGEST_MS = 24 * 3600 * 1000


class DecisionForm(forms.Form):
    """One decision on the slot of a card."""

    slot = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    proof = forms.CharField(max_length=500)
    client_id = forms.UUIDField()
    kind = forms.ChoiceField(choices=[(kind.value, kind.label) for kind in KINDS])
    reason = forms.TypedChoiceField(
        choices=[(reason.value, reason.label) for reason in REVIEWER_REASONS],
        coerce=Reason,
        required=False,
        empty_value=None,
        error_messages={"invalid_choice": "That is not a reason that a reviewer gives."},
    )
    note = forms.CharField(max_length=2000, required=False)
    active_ms = forms.CharField(required=False)

    def clean_active_ms(self) -> int | None:
        # Only a measurement: when it is broken, the decision still counts.
        text = self.cleaned_data["active_ms"]
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        return min(int(text), _LONGEST_MS) if is_number else None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reason, where the decision takes one: a chosen digit means nothing to an accept."""
        reason = self.cleaned_data["reason"]
        return (reason,) if reason and self.cleaned_data["kind"] == "reject" else ()


class UndoForm(forms.Form):
    """Take back the last decision, or the one named."""

    client_id = forms.UUIDField()
    decision = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
