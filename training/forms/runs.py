"""The forms of the training pages: what to list, and what to start."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from pydantic import ValidationError

from distill.logic.errors import InputError
from distill.models import Export
from training.logic.spec import TrainSpec, load_spec
from training.models import TrainingRun
from training.queries.configs import list_configs, read_config
from training.queries.starts import exports_to_train_on


class TrainingFilterForm(forms.Form):
    """Which training runs to list."""

    state = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *((state, state.label) for state in TrainingRun.State)],
    )
    tag = forms.CharField(
        required=False, max_length=50, widget=forms.TextInput(attrs={"list": "tags"})
    )


class ExportField(forms.ModelChoiceField[Export]):
    """An export by its name, policy and rows."""

    def label_from_instance(self, obj: Export) -> str:
        counts = vars(obj)["counts"]
        return (
            f"{obj}: {counts['train']:,} train, {counts['validation']:,} validation, "
            f"{counts['test']:,} test ({obj.get_policy_display().lower()})"
        )


class StartTrainingForm(forms.Form):
    """What to train on what. `spec` is the config with the tags that were added."""

    export = ExportField(exports_to_train_on(), empty_label=None)
    config = forms.CharField(
        label="Start from",
        required=False,
        max_length=100,
        widget=forms.Select,
    )
    document = forms.CharField(
        label="Config",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "class": "mono", "spellcheck": "false"}),
        help_text="YAML. What is left out has its default. Loading another config replaces all of it.",
    )
    tags = forms.CharField(
        required=False,
        max_length=500,
        help_text="Words to find it by, such as gate-on seed-1; they join those of the config.",
    )
    spec: TrainSpec

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer_configs()

    def _offer_configs(self) -> None:
        """The usual choices, and the one that was asked for, however old."""
        choices = list_configs()
        asked = str(self.data.get("config") or "")
        if asked not in dict(choices) and read_config(asked) is not None:
            choices.append((asked, asked.replace("-", " ").capitalize()))
        self.fields["config"].widget = forms.Select(choices=choices)

    def clean(self) -> dict[str, Any]:
        """Validate the config; each fault stands at the field that it came from."""
        cleaned = super().clean() or {}
        if "document" not in cleaned:
            return cleaned
        try:
            spec = load_spec(cleaned["document"])
        except InputError as error:
            lines = [line.removeprefix("- ") for line in str(error).splitlines()]
            self.add_error("document", lines)
            return cleaned
        if "tags" in cleaned:
            self._add_tags(spec, cleaned["tags"])
        return cleaned

    def _add_tags(self, spec: TrainSpec, typed: str) -> None:
        tags = list(dict.fromkeys([*spec.tags, *filter(None, re.split(r"[\s,]+", typed))]))
        try:
            self.spec = TrainSpec.model_validate(spec.model_dump() | {"tags": tags})
        except ValidationError:
            self.add_error(
                "tags",
                "A tag has letters, digits and . : + - _ alone, at most 50 of them; "
                "a training has at most 20 tags.",
            )

    @property
    def is_complete(self) -> bool:
        """Whether every field can be used, also where starting was refused afterwards."""
        return self.is_valid() or (hasattr(self, "spec") and not self.errors.keys() - {"__all__"})
