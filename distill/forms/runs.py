"""The form that starts a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.logic.recipe import Recipe as RecipeContent
from distill.models import Dataset, Recipe, Run
from distill.services.runs import MOST_WORKERS
from distill.teachers.registry import canonical_name

_NANO = 1_000_000_000

KINDS = (
    (Run.Kind.PIPELINE, "Whole pipeline: generate, rules, judge, gate, regenerate"),
    (Run.Kind.GENERATE, "Generate: ask the teacher, decide nothing"),
    (Run.Kind.FILTER, "Rules: check the answers that are there, at no cost"),
    (Run.Kind.JUDGE, "Judge: score what passes the rules, decide nothing"),
    (Run.Kind.GATE, "Gate: decide the answers that are there anew"),
    (Run.Kind.REEVALUATE, "Re-evaluate: decide anew from stored scores, asking no model"),
    (Run.Kind.REGENERATE, "Regenerate: another attempt for what was rejected"),
)
REASONS = [
    ("People", [(reason.value, reason.label) for reason in REVIEWER_REASONS]),
    ("The gate", [(one.value, one.label) for one in Reason if one not in REVIEWER_REASONS]),
]


class StartRunForm(forms.Form):
    """What to run over what. `content` is the recipe with the changes that were asked for."""

    dataset = forms.ModelChoiceField(Dataset.objects.order_by("name"), empty_label=None)
    recipe = forms.ModelChoiceField(Recipe.objects.order_by("name", "-version"), empty_label=None)
    kind = forms.ChoiceField(label="What to do", choices=KINDS)
    rejected_by = forms.ChoiceField(
        label="Rejected by",
        required=False,
        choices=Run.RejectedBy.choices,
        help_text="Whose rejections are taken up. Reasons and reviewers' notes go into the prompt, "
        "nobody's name.",
    )
    reasons = forms.MultipleChoiceField(
        label="Rejected for",
        required=False,
        choices=REASONS,
        widget=forms.CheckboxSelectMultiple,
        help_text="Choose none to take any.",
    )
    teacher = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"list": "teachers", "class": "mono"}),
        help_text="provider:model. Empty takes the recipe's; another one makes a new version of it.",
    )
    draws = forms.IntegerField(
        label="Draws per sample",
        required=False,
        min_value=1,
        max_value=16,
        help_text="How many answers to the same question. Empty takes the recipe's number; another "
        "one makes a new version of it.",
    )
    sample_limit = forms.IntegerField(
        label="Sample limit",
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Take at most so many samples, from the first. Empty takes all.",
    )
    budget = forms.DecimalField(
        label="Budget in US dollars",
        required=False,
        min_value=Decimal("0.000001"),
        max_value=Decimal(9_000_000),
        help_text="The run never spends more. It needs the price of each model, in the recipe or in the prices.",
    )

    workers = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_WORKERS,
        help_text="So many worker processes share the run and its slots, on any host. Empty means "
        "one: enough for some thousand slots.",
    )

    note = ""
    content: RecipeContent

    def clean_teacher(self) -> str:
        """The teacher's full name; what was changed of it stands in `note`."""
        typed: str = self.cleaned_data["teacher"].strip()
        if not typed:
            return ""
        try:
            name = canonical_name(typed)
        except InputError as error:
            raise forms.ValidationError(str(error)) from error
        self.note = name.note
        return name.name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("kind") != Run.Kind.REGENERATE:
            cleaned |= {"rejected_by": "", "reasons": []}
        cleaned["rejected_by"] = cleaned.get("rejected_by") or Run.RejectedBy.ANYBODY
        if not self.errors:
            self.content = _changed(cleaned["recipe"].content, cleaned["teacher"], cleaned["draws"])
        return cleaned

    @property
    def is_complete(self) -> bool:
        """Whether every field can be used, also where starting was refused afterwards."""
        return self.is_valid() or hasattr(self, "content")

    @property
    def choice(self) -> dict[str, Any]:
        """What the run is made of beside its dataset, as services and queries take it."""
        kept = ("kind", "sample_limit", "rejected_by")
        return {name: self.cleaned_data[name] for name in kept} | {
            "reasons": [Reason(code) for code in self.cleaned_data["reasons"]]
        }

    @property
    def num_workers(self) -> int:
        return self.cleaned_data["workers"] or 1

    @property
    def budget_nano(self) -> int | None:
        budget: Decimal | None = self.cleaned_data["budget"]
        return None if budget is None else int(budget * _NANO)


def _changed(content: RecipeContent, teacher: str, draws: int | None) -> RecipeContent:
    """The recipe as asked for. Another teacher's price is not known, so the old one goes."""
    changes: dict[str, object] = {}
    if draws is not None:
        changes["draws"] = draws
    if teacher and teacher != content.teacher.name:
        changes |= {"name": teacher, "price": None}
    return content.model_copy(update={"teacher": content.teacher.model_copy(update=changes)})
