"""The filter over completions: the names that a query string may hold, and nothing else."""

from __future__ import annotations

from typing import Any

from django import forms

from distill.logic.reasons import Reason, Stage
from distill.models import Completion, CompletionState, Dataset, SampleDraw
from distill.queries.completions import CompletionFilter

MAX_ID = 2**63 - 1
_WITHOUT_COMPLETION = (SampleDraw.State.PENDING, SampleDraw.State.FAILED)
_ORIGINS = [
    ("", "The teachers'"),
    (Completion.Origin.EVALUATED.value, "Students' and their bases'"),
]
_LABELS = [("accepted", "Accepted"), ("rejected", "Rejected"), ("none", "Nobody decided")]


def _any_of(choices: Any, words: str = "Any") -> list[tuple[str, str]]:
    return [("", words), *choices]


class CompletionFilterForm(forms.Form):
    """What is asked for; `wanted` is it as a value.

    The states "pending" and "failed" are of a run's sample draws that have no completion.
    """

    dataset = forms.CharField(required=False, max_length=100, widget=forms.Select)
    run = forms.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    state = forms.ChoiceField(
        required=False,
        choices=_any_of(
            [
                *CompletionState.State.choices,
                ("failed", "Failed (of a run)"),
                ("pending", "Pending (of a run)"),
            ]
        ),
    )
    origin = forms.ChoiceField(label="Whose answers", required=False, choices=_ORIGINS)
    label = forms.ChoiceField(label="People said", required=False, choices=_any_of(_LABELS))
    reason = forms.ChoiceField(
        label="Reason or flag",
        required=False,
        choices=_any_of([(one.value, one.label) for one in Reason]),
    )
    stage = forms.ChoiceField(
        label="Rejected at",
        required=False,
        choices=_any_of([(one.value, one.value.capitalize()) for one in Stage]),
    )
    domain = forms.CharField(required=False, max_length=100)
    template = forms.CharField(required=False, max_length=100)
    attempt = forms.IntegerField(required=False, min_value=1, max_value=100)
    teacher = forms.CharField(required=False, max_length=200)
    text = forms.CharField(
        label="Text in the answer",
        required=False,
        min_length=3,
        max_length=200,
        widget=forms.SearchInput,
    )
    wanted = CompletionFilter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Dataset.objects.order_by("name").values_list("name", flat=True)
        self.fields["dataset"].widget.choices = _any_of(((name, name) for name in names), "All")

    @property
    def is_without_completion(self) -> bool:
        """Whether sample draws that have no completion are asked for."""
        return self.cleaned_data.get("state") in _WITHOUT_COMPLETION

    @property
    def num_further(self) -> int:
        """How many of the filters that are folded away are in use."""
        names = ("run", "origin", "stage", "domain", "template", "attempt", "teacher")
        return sum(1 for name in names if self.data.get(name))

    def clean_dataset(self) -> Dataset | None:
        """The dataset of this name."""
        name = self.cleaned_data["dataset"]
        if not name:
            return None
        found = Dataset.objects.filter(name=name).first()
        if found is None:
            raise forms.ValidationError(f"There is no dataset “{name}”.")
        return found

    def clean(self) -> dict[str, Any]:
        """Refuse what would read everything, and make `wanted`."""
        cleaned = super().clean() or {}
        if cleaned.get("text") and not cleaned.get("dataset"):
            self.add_error("text", "Choose a dataset to search in.")
        if cleaned.get("state") in _WITHOUT_COMPLETION and not cleaned.get("run"):
            self.add_error("run", "Say of which run: only those have pending and failed ones.")
        if not self.errors:
            self.wanted = self._wanted(cleaned)
        return cleaned

    def _wanted(self, cleaned: dict[str, Any]) -> CompletionFilter:
        names = (
            *("origin", "label", "reason", "stage", "domain", "template", "attempt", "teacher"),
            "text",
        )
        return CompletionFilter(
            dataset=cleaned["dataset"],
            run_id=cleaned["run"],
            state="" if self.is_without_completion else cleaned["state"],
            **{name: cleaned[name] for name in names},
        )


def read_after(value: str | None) -> int | None:
    """The id where a page begins, from the query string; what is none means the first page."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 19:
        return None
    number = int(value)
    return number if 0 < number <= MAX_ID else None
