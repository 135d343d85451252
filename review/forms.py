"""What a lead says of a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from pydantic import ValidationError

from distill.logic.reasons import REVIEWER_REASONS, Reason, Stage
from distill.models import Dataset
from review.logic.queue_filter import QueueFilter
from review.logic.ways import MOST_RANDOM, Ways
from review.models import Queue
from review.queries.choices import domains_of, templates_of
from review.queries.matching import queue_filter
from review.queries.planned import MOST_REVIEWS

_GATE_REASONS = [(reason.value, reason.label) for reason in Reason if reason.stage != Stage.REVIEW]


def _boxes(label: str, help_text: str = "", choices: Sequence[tuple[str, str]] = ()) -> Any:
    return forms.MultipleChoiceField(
        label=label,
        required=False,
        choices=choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=help_text,
    )


class QueueForm(forms.Form):
    """A queue as a lead describes it; `wanted` is its filter once the form has been looked at.

    Of a queue whose filter can change no more, or that takes what passed the gate by itself, the
    filter's fields are left out.
    """

    name = forms.CharField(
        max_length=100, help_text="How reviewers know it, for example “Second look at ecology”."
    )
    gate = forms.ChoiceField(
        label="What the gate said",
        choices=[
            ("passed", "Passed"),
            ("rejected", "Rejected: a person's accept takes it back in"),
            ("both", "Either"),
        ],
    )
    reasons = _boxes("Rejected for", "Any of these; none means any reason.", _GATE_REASONS)
    domains = _boxes("Domains", "None means all.")
    templates = _boxes("Templates", "None means all.")
    score_min = forms.FloatField(
        label="Mean score from",
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    score_max = forms.FloatField(
        label="Mean score to",
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
        help_text="From 0 to 1. With a limit, what no judge has scored is left out.",
    )
    attempts = forms.ChoiceField(
        choices=[("any", "All attempts"), ("regenerated", "Only regenerated ones")]
    )
    share = forms.IntegerField(
        label="Share in percent",
        min_value=1,
        max_value=100,
        initial=100,
        help_text="So many of what fits, evenly chosen; always the same ones.",
    )
    near = forms.FloatField(
        label="Near the threshold",
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
        help_text="Only mean scores so near to the gate's threshold, on either side: 0.05 say.",
    )
    flagged = forms.BooleanField(
        label="Only flagged ones",
        required=False,
        help_text="No export takes these before a person has accepted them.",
    )
    required_reviews = forms.IntegerField(
        label="Reviews of each completion",
        min_value=1,
        max_value=MOST_REVIEWS,
        initial=1,
        help_text="By so many different people. With two or more there is a label only when all "
        "agree.",
    )
    mode = forms.ChoiceField(choices=Queue.Mode.choices, initial=Queue.Mode.BLIND, required=False)
    overlap_share = forms.IntegerField(
        label="Overlap in percent",
        required=False,
        min_value=0,
        max_value=100,
        initial=100,
        help_text="So many completions get all reviews, the others one. Agreement needs some.",
    )
    random_share = forms.IntegerField(
        label="Random stream in percent",
        required=False,
        min_value=0,
        max_value=MOST_RANDOM,
        initial=15,
        help_text="So many cards come by chance, the others what most needs a look first. 15 to 20 "
        "keep agreement and the judge honestly measured.",
    )
    reject_reasons = _boxes(
        "Reasons of a rejection",
        "None means all nine. Digits follow this order.",
        [(reason.value, reason.label) for reason in REVIEWER_REASONS],
    )
    guidelines = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text="Plain text, an empty line between paragraphs. Reviewers read it before their "
        "first card, and again when it has changed. Empty: the shipped one.",
    )

    FILTER = (
        "gate",
        "reasons",
        "domains",
        "templates",
        "score_min",
        "score_max",
        "attempts",
        "share",
        "flagged",
        "near",
    )

    WAYS = ("mode", "overlap_share", "random_share", "reject_reasons")

    def __init__(
        self,
        *args: Any,
        dataset: Dataset,
        queue: Queue | None = None,
        is_settled: bool = False,
        **kwargs: Any,
    ) -> None:
        wanted = queue_filter(queue) if queue else QueueFilter()
        if queue is not None:
            kwargs.setdefault("initial", _initial(queue, wanted))
        super().__init__(*args, **kwargs)
        self.wanted: QueueFilter | None = wanted
        self._offer("domains", domains_of(dataset), wanted.domains)
        self._offer("templates", templates_of(dataset), wanted.templates)
        if is_settled or (queue and queue.is_default):
            for name in self.FILTER:
                del self.fields[name]
        if is_settled:
            for name in ("required_reviews", *self.WAYS):
                del self.fields[name]

    def _offer(self, name: str, known: Sequence[str], chosen: Sequence[str]) -> None:
        """One box for each value that the dataset has; no question where there is but one."""
        values = list(dict.fromkeys((*known, *chosen)))
        field = cast("forms.MultipleChoiceField", self.fields[name])
        field.choices = [(value, value or "none given") for value in values]
        if len(values) < 2 and not chosen:
            field.widget = forms.MultipleHiddenInput()

    @property
    def ways(self) -> Ways | None:
        """How the queue is worked through; None where that can change no more."""
        if "mode" not in self.fields:
            return None
        said = {name: self.cleaned_data[name] for name in self.WAYS}
        said["reject_reasons"] = tuple(said["reject_reasons"])
        # What is left empty is as usual.
        return Ways(**{name: value for name, value in said.items() if value not in (None, "")})

    @property
    def num_reviews(self) -> int:
        """As far as it is known: one, until something else was said."""
        said = (
            self.cleaned_data.get("required_reviews")
            if self.is_bound
            else self.get_initial_for_field(self.fields["required_reviews"], "required_reviews")
        )
        return int(said or 1)

    def clean(self) -> dict[str, Any]:
        """Make `wanted`; None where the fields of the filter do not say one."""
        cleaned = super().clean() or {}
        given = {name: cleaned[name] for name in self.FILTER if name in cleaned}
        if "gate" not in self.fields:
            return cleaned
        self.wanted = None
        if len(given) < len(self.FILTER):
            return cleaned
        try:
            self.wanted = QueueFilter.model_validate(given)
        except ValidationError as error:
            for finding in error.errors():
                self.add_error(None, finding["msg"])
        return cleaned


def _initial(queue: Queue, wanted: QueueFilter) -> dict[str, Any]:
    return {
        **wanted.model_dump(mode="json"),
        "name": queue.name,
        "required_reviews": queue.required_reviews,
        "guidelines": queue.guidelines,
        **{name: getattr(queue, name) for name in QueueForm.WAYS},
    }
