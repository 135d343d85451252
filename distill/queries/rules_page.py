"""What each rule hits in a dataset, and what it almost hits: from the snapshot, with the texts shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from distill.logic.marks import Mark, Piece, split_marks
from distill.logic.recipe import Recipe
from distill.logic.rules import RULES, Rule, RulesConfig, apply_rules, near_misses
from distill.logic.templates import plain_text
from distill.logic.types import RuleText
from distill.models import Completion
from distill.models import Recipe as RecipeRow
from distill.queries.snapshot import Snapshot

PAGE_SIZE = 20
RULES_BY_CODE: Mapping[str, Rule] = {rule.switch: rule for rule in RULES}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with its settings; `hits` are open completions, whether or not it is switched on.

    `agreed` of the `decided` ones that it hits were rejected by people.
    """

    rule: Rule
    is_on: bool
    settings: tuple[tuple[str, object], ...]
    hits: int
    near: int
    agreed: int
    decided: int


def rule_rows(snapshot: Snapshot | None, config: RulesConfig) -> tuple[int, list[RuleRow]]:
    """How many completions were looked at, and a row for each rule."""
    if snapshot is None:
        return 0, [_row(rule, config, None) for rule in RULES]
    frame = snapshot.frame.filter("is_open")
    return len(frame), [_row(rule, config, frame) for rule in RULES]


def _row(rule: Rule, config: RulesConfig, frame: pl.DataFrame | None) -> RuleRow:
    settings = tuple(
        (name.replace("_", " "), value)
        for name in rule.settings
        if isinstance(value := getattr(config, name), int | float | str)
    )
    counts = (0, 0, 0, 0) if frame is None else _counts(rule, config, frame)
    return RuleRow(rule, config.is_on(rule.code), settings, *counts)


def _counts(rule: Rule, config: RulesConfig, frame: pl.DataFrame) -> tuple[int, int, int, int]:
    hit = frame.filter(_hits(rule, config))
    decided = hit.filter(pl.col("label").is_not_null())
    agreed = len(decided.filter(pl.col("label") == "rejected"))
    return len(hit), len(_near(frame, rule, config)), agreed, len(decided)


def _hits(rule: Rule, config: RulesConfig) -> pl.Expr:
    found = rule.hits(config) if rule.measures(config) else pl.col(rule.switch)
    return found.fill_null(value=False)


def _near(frame: pl.DataFrame, rule: Rule, config: RulesConfig) -> pl.DataFrame:
    """What almost hits, the nearest first."""
    if rule.near is None:
        return frame.clear()
    if not rule.measures(config):
        return frame.filter(f"near:{rule.switch}").sort("completion_id")
    near = near_misses(frame, rule, config).alias("near")
    return frame.with_columns(near).filter(pl.col("near").is_not_null()).sort(
        "near", "completion_id", descending=[True, False]
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A completion's text with what the rule found in it marked; `detail` is empty for a near miss."""

    completion_id: int
    label: str | None
    detail: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class RulePage:
    """A page of what a rule hits, or almost hits; `number` counts from 1."""

    total: int
    number: int
    rows: list[Shown]

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number * PAGE_SIZE < self.total else None


def rule_page(
    snapshot: Snapshot, rule: Rule, base: Recipe, *, is_near: bool, number: int
) -> RulePage:
    """The texts are read for the page alone, and looked at by this rule alone."""
    frame, config = snapshot.frame.filter("is_open"), base.rules
    found = (
        _near(frame, rule, config)
        if is_near
        else frame.filter(_hits(rule, config)).sort("completion_id")
    )
    chosen = found.slice((number - 1) * PAGE_SIZE, PAGE_SIZE)
    labels = dict(chosen.select("completion_id", "label").iter_rows())
    return RulePage(len(found), number, _shown(labels, rule, base))


def _shown(labels: Mapping[int, str | None], rule: Rule, base: Recipe) -> list[Shown]:
    completions = Completion.objects.select_related("sample").in_bulk(list(labels))
    recipes = RecipeRow.objects.in_bulk({one.recipe_id for one in completions.values()} - {None})
    contents = {pk: row.content for pk, row in recipes.items()}
    read = [
        (completions[pk], _text(completions[pk], contents.get(completions[pk].recipe_id, base)))
        for pk in labels
        if pk in completions
    ]
    alone = base.rules.model_copy(update={one.switch: one is rule for one in RULES})
    found = apply_rules([text for _one, text in read], alone)
    return [
        Shown(
            one.pk,
            labels[one.pk],
            " ".join(finding.detail for finding in findings),
            split_marks(
                text.text,
                [
                    Mark(finding.start, finding.end, finding.detail)
                    for finding in findings
                    if finding.start is not None and finding.end is not None
                ],
            ),
        )
        for (one, text), findings in zip(read, found, strict=True)
    ]


def _text(completion: Completion, recipe: Recipe) -> RuleText:
    template = recipe.templates.get(completion.template_name)
    text = plain_text(template, completion.fields) if template else ""
    return RuleText(
        text or completion.text,
        completion.sample.text,
        completion.fields,
        completion.completion_tokens,
    )
