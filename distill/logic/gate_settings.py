"""The settings of a what-if by name: what may be moved, and a base's settings with some of it moved.

    gate.min_mean gate.review_band gate.max_disagreement    gate.min_scores.<dimension>
    rules.<code>: a switch                                  rules.<number>: a value that a rule needs

What needs the texts again (the wanted language, the verbs) cannot be moved: a snapshot holds none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from distill.logic.errors import InputError
from distill.logic.gate import GateConfig
from distill.logic.rules import RULES, Rule, RulesConfig
from distill.logic.what_if import Settings

Value = bool | float
Part = TypeVar("Part", RulesConfig, GateConfig)

THRESHOLDS = ("min_mean", "review_band", "max_disagreement")
SCORES = "gate.min_scores."
_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def numbers_of(rule: Rule) -> tuple[str, ...]:
    """The rule's settings that are numbers, whose measures a snapshot holds."""
    defaults = RulesConfig()
    return tuple(name for name in rule.settings if isinstance(getattr(defaults, name), int | float))


def movable(dimensions: Sequence[str]) -> tuple[str, ...]:
    """Every name that `moved` knows, with these dimensions of the rubric."""
    of_rules = [name for rule in RULES for name in (rule.switch, *numbers_of(rule))]
    return (
        *(f"gate.{name}" for name in THRESHOLDS),
        *(SCORES + name for name in dimensions),
        *(f"rules.{name}" for name in of_rules),
    )


def moved(base: Settings, changes: Mapping[str, Value], *, dimensions: Sequence[str]) -> Settings:
    """The base's settings with these changes; a lowest score of 0 takes that minimum away.

    Raises InputError for a name that is not known, with those that are, and for a value out of its
    range.
    """
    known = movable(dimensions)
    if unknown := [name for name in changes if name not in known]:
        raise InputError(
            f"{', '.join(name[:80] for name in unknown[:10])}: no such setting. "
            f"Known are: {', '.join(known)}."
        )
    rules: dict[str, Any] = base.rules.model_dump()
    gate: dict[str, Any] = base.gate.model_dump()
    scores: dict[str, Any] = dict(base.gate.min_scores)
    for name, value in changes.items():
        room, _dot, key = name.partition(".")
        if name.startswith(SCORES):
            scores[name.removeprefix(SCORES)] = value
        else:
            (rules if room == "rules" else gate)[key] = value
    # Zero is no minimum: so the same settings stay the same version of the recipe.
    gate["min_scores"] = {name: least for name, least in scores.items() if least != 0}
    return Settings(
        _checked(RulesConfig, "rules", rules), _checked(GateConfig, "gate", gate), base.panel
    )


def read_changes(entries: Iterable[str]) -> dict[str, Value]:
    """The changes that lines such as `gate.min_mean=0.7` and `rules.citation=off` ask for.

    Raises InputError for a line without a value, and for one that is neither a number nor a switch.
    """
    return dict(_read_change(entry) for entry in entries)


def _read_change(entry: str) -> tuple[str, Value]:
    name, sign, text = (part.strip() for part in entry.partition("="))
    if not name or not sign:
        raise InputError(f"{entry[:80]}: write NAME=VALUE, such as gate.min_mean=0.7.")
    if text.lower() in _WORDS:
        return name, _WORDS[text.lower()]
    try:
        return name, int(text) if text.isdecimal() else float(text)
    except ValueError as error:
        raise InputError(
            f"{name}={text[:40]}: write a number, or true or false for a rule's switch."
        ) from error


def _checked(kind: type[Part], room: str, values: object) -> Part:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = (
            f"{room}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise InputError("; ".join(faults)) from error
