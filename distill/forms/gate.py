"""The gate's settings as fields: a switch for each rule, and every value that may be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from pydantic import ValidationError

from distill.logic.gate import GateConfig
from distill.logic.rules import RULES, RulesConfig
from distill.logic.what_if import Settings

_GATE_FIELDS = {
    "min_mean": "Lowest mean score",
    "review_band": "People look this near to it",
    "max_disagreement": "Judges may differ by",
}
_SCORE = "score."


class GateForm(forms.Form):
    """What if the gate were set so? `settings` is what was asked for, once it is valid.

    Only what needs no model and no text can be moved: switches and numbers. Empty fields keep the
    base's value. Without `asked` nothing was asked for, and the base's settings are shown.
    """

    asked = forms.BooleanField(required=False, initial=True, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any], *, base: Settings, dimensions: list[str]) -> None:
        initial = self._values(base, dimensions)
        super().__init__(data if data.get("asked") else initial | {"asked": "on"})
        self._base, self._dimensions = base, dimensions
        self.settings = base
        for name, label in _GATE_FIELDS.items():
            self.fields[name] = _number(label)
        for dimension in dimensions:
            label = f"Lowest {dimension.replace('_', ' ')}"
            self.fields[_SCORE + dimension] = _number(label)
        for rule in RULES:
            self.fields[rule.switch] = forms.BooleanField(label=rule.label, required=False)
            for name in _numbers_of(rule.settings, base.rules):
                self.fields[name] = _number(name.replace("_", " ").capitalize())

    @staticmethod
    def _values(base: Settings, dimensions: list[str]) -> dict[str, Any]:
        values = base.rules.model_dump() | base.gate.model_dump()
        return values | {_SCORE + name: base.gate.min_scores.get(name, 0) for name in dimensions}

    @property
    def threshold_fields(self) -> list[forms.BoundField]:
        """Those of the judges' scores."""
        return [self[name] for name in (*_GATE_FIELDS, *(_SCORE + d for d in self._dimensions))]

    @property
    def rule_fields(self) -> list[tuple[forms.BoundField, list[forms.BoundField]]]:
        """Each rule's switch and its numbers."""
        return [
            (
                self[rule.switch],
                [self[name] for name in _numbers_of(rule.settings, self._base.rules)],
            )
            for rule in RULES
        ]

    def clean(self) -> dict[str, Any]:
        """Hold the values to the ranges that a recipe allows."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        given = {name: value for name, value in cleaned.items() if value is not None}
        moved = {n: given[_SCORE + n] for n in self._dimensions if _SCORE + n in given}
        kept = {**self._base.gate.min_scores, **moved}
        # Zero is no minimum: so the same settings stay the same version of the recipe.
        scores = {name: minimum for name, minimum in kept.items() if minimum}
        gate = {name: given[name] for name in _GATE_FIELDS if name in given}
        rules = {name: value for name, value in given.items() if name in RulesConfig.model_fields}
        try:
            self.settings = Settings(
                RulesConfig.model_validate(self._base.rules.model_dump() | _whole(rules)),
                GateConfig.model_validate(
                    self._base.gate.model_dump() | gate | {"min_scores": scores}
                ),
                self._base.panel,
            )
        except ValidationError as error:
            for fault in error.errors():
                path = [str(part) for part in fault["loc"]]
                name = _SCORE + path[-1] if path[0] == "min_scores" else path[0]
                self.add_error(name if name in self.fields else None, fault["msg"])
        return cleaned


def _number(label: str) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})
    return forms.FloatField(label=label, required=False, widget=widget)


def _numbers_of(names: tuple[str, ...], rules: RulesConfig) -> list[str]:
    return [name for name in names if isinstance(getattr(rules, name), int | float)]


def _whole(values: Mapping[str, Any]) -> dict[str, Any]:
    """Counts are whole numbers in a recipe; a field reads 120 as 120.0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }
