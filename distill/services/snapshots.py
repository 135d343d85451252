"""Take the snapshot that what-if questions are answered from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from django.db.models import Exists, F, OuterRef, Subquery

from distill.logic.recipe import Recipe
from distill.logic.rules import RULES, RulesConfig, examine, near_misses, rule_frame
from distill.logic.sft import prompt_version
from distill.logic.templates import parse_reply, plain_text
from distill.logic.types import RuleText
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    ExportedCompletion,
    Judgement,
    Reply,
)
from distill.models import Recipe as RecipeRow
from distill.queries.opinions import stamps_of
from distill.queries.snapshot import base_content, current_marks, snapshot_path
from distill.services.files import atomic_path

_BATCH = 5_000
_OF_COMPLETION = (
    *("id", "sample_id", "draw", "attempt", "recipe_id", "call_id", "template_name", "teacher"),
    *("model", "text", "fields", "finish_reason", "completion_tokens"),
)
_FACTS = {
    "completion_id": pl.Int64,
    "sample_id": pl.Int64,
    "draw": pl.Int16,
    "attempt": pl.Int16,
    "is_open": pl.Boolean,
    "is_exported": pl.Boolean,
    "state": pl.String,
    "label": pl.String,
    "template": pl.String,
    "domain": pl.String,
    "prompt_version": pl.String,
    "teacher": pl.String,
    "model": pl.String,
    "parse_reason": pl.String,
    "cost_nano": pl.Int64,
    "flag:safety": pl.Boolean,
}


def take_snapshot(*, dataset: Dataset) -> int:
    """Write the dataset's snapshot anew and return its rows; a reader keeps the one it has.

    Completions are read in batches and in the order of their ids; of their texts only what the
    rules measure is kept. Every rule is looked at, also those that the recipe switches off. Opinions
    are those that a re-evaluation with the recipe of the latest run would count.
    """
    marks = current_marks(dataset)
    reader = _Reader(base_content(dataset))
    frames = [reader.frame(rows) for rows in _batches(dataset)] or [reader.frame([])]
    whole = pl.concat(frames, how="diagonal_relaxed")
    with atomic_path(snapshot_path(dataset)) as draft:
        whole.write_parquet(draft, metadata={"marks": marks})
    return len(whole)


def count_candidates(dataset: Dataset, *, limit: int) -> int:
    """How many completions a snapshot would hold; `limit + 1` stands for more."""
    return CompletionState.objects.filter(dataset=dataset)[: limit + 1].count()


def _batches(dataset: Dataset) -> Iterator[list[dict[str, Any]]]:
    after = 0
    newest_export = dataset.exports.first()
    found = Completion.objects.filter(state_row__dataset=dataset).order_by("pk")
    columns = found.values(
        *_OF_COMPLETION,
        source=F("sample__text"),
        domain=F("sample__domain"),
        is_open=F("state_row__is_open"),
        is_exported=Exists(
            ExportedCompletion.objects.filter(export=newest_export, completion=OuterRef("pk"))
        ),
        state=F("state_row__state"),
        label_outcome=F("label__outcome"),
        cost_nano=Subquery(
            Reply.objects.filter(call=OuterRef("call"), outcome=Reply.ACCEPTED).values("cost_nano")[
                :1
            ]
        ),
    )
    while rows := list(columns.filter(pk__gt=after)[:_BATCH]):
        after = rows[-1]["id"]
        yield rows


class _Judged(NamedTuple):
    judge: str
    scores: dict[str, float]
    flags: list[str]
    error: str


class _Heard(NamedTuple):
    """What counts of the opinions on a completion, and what all that were ever asked have cost."""

    judged: list[_Judged]
    costs: list[int | None]


_UNHEARD = _Heard([], [])


class _Reader:
    """Turns rows of the database into columns; remembers the recipes that it meets."""

    def __init__(self, base: Recipe) -> None:
        self._base = base
        every = {rule.switch: True for rule in RULES}
        self._stamps = stamps_of(base)
        self._rules = base.rules.model_copy(update=every)
        self._recipes: dict[int, Recipe] = {}
        self._versions: dict[tuple[int | None, str], str | None] = {}

    def frame(self, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
        heard = _judgements([row["id"] for row in rows], self._stamps)
        facts = pl.DataFrame(
            [self._facts(row, heard.get(row["id"], _UNHEARD)) for row in rows],
            schema=_FACTS,
            orient="row",
        )
        looked_at = examine(rule_frame([self._text(row) for row in rows]), self._rules)
        return pl.concat(
            [facts, _rule_columns(looked_at, self._rules), _score_columns(rows, heard)],
            how="horizontal",
        )

    def _recipe(self, recipe_id: int | None) -> Recipe:
        if recipe_id is None:
            return self._base
        if recipe_id not in self._recipes:
            self._recipes[recipe_id] = RecipeRow.objects.get(pk=recipe_id).content
        return self._recipes[recipe_id]

    def _prompt_version(self, recipe_id: int | None, template_name: str) -> str | None:
        key = recipe_id, template_name
        if key not in self._versions:
            template = self._recipe(recipe_id).templates.get(template_name)
            self._versions[key] = prompt_version(template) if template else None
        return self._versions[key]

    def _text(self, row: dict[str, Any]) -> RuleText:
        template = self._recipe(row["recipe_id"]).templates.get(row["template_name"])
        text = plain_text(template, row["fields"]) if template else ""
        return RuleText(text or row["text"], row["source"], row["fields"], row["completion_tokens"])

    def _facts(self, row: dict[str, Any], heard: _Heard) -> tuple[Any, ...]:
        recipe_id, template_name = row["recipe_id"], row["template_name"]
        template = self._recipe(recipe_id).templates.get(template_name)
        parse_reason = None
        if template:
            parsed = parse_reply(template, row["text"], finish_reason=row["finish_reason"])
            parse_reason = parsed.evidence[0].reason if parsed.evidence else None
        costs = [row["cost_nano"], *heard.costs]
        known = [cost for cost in costs if cost is not None]
        return (
            *(row["id"], row["sample_id"], row["draw"], row["attempt"], row["is_open"]),
            *(row["is_exported"], row["state"], row["label_outcome"], template_name, row["domain"]),
            *(self._prompt_version(recipe_id, template_name), row["teacher"], row["model"]),
            parse_reason,
            sum(known) if len(known) == len(costs) else None,
            any(flag.startswith("safety") for one in heard.judged for flag in one.flags),
        )


def _judgements(ids: Sequence[int], stamps: Mapping[str, tuple[str, str]]) -> dict[int, _Heard]:
    """The latest opinion of each judge of the recipe, asked as it asks; earlier ones only cost."""
    cost = Reply.objects.filter(call=OuterRef("call"), outcome=Reply.ACCEPTED).values("cost_nano")
    rows = Judgement.objects.filter(completion__in=ids).order_by("pk")
    latest: dict[int, dict[str, _Judged]] = defaultdict(dict)
    costs: dict[int, list[int | None]] = defaultdict(list)
    for pk, teacher, stamp, cost_nano, *judged in rows.values_list(
        "completion", "teacher", "rubric_version", Subquery(cost[:1]),
        "judge", "scores", "flags", "error",
    ):  # fmt: skip
        costs[pk].append(cost_nano)
        one = _Judged(*judged)
        if stamps.get(one.judge) == (teacher, stamp):
            latest[pk][one.judge] = one
    return {pk: _Heard(list(latest[pk].values()), costs[pk]) for pk in costs}


def _rule_columns(looked_at: pl.DataFrame, config: RulesConfig) -> pl.DataFrame:
    """Measures of the rules that have them; what the others hit, and almost hit (`near:<code>`)."""
    columns: dict[str, pl.Series] = {}
    for rule in RULES:
        names = list(rule.measures(config)) or [rule.code.value]
        columns |= {name: looked_at[name] for name in names}
        if rule.near and not rule.measures(config):
            columns[f"near:{rule.switch}"] = near_misses(looked_at, rule, config).is_not_null()
    return pl.DataFrame(columns)


def _score_columns(rows: Sequence[dict[str, Any]], heard: dict[int, _Heard]) -> pl.DataFrame:
    """A column by judge and dimension, and one for what became of each judge's reply."""
    columns: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        for one in heard.get(row["id"], _UNHEARD).judged:
            values: dict[str, Any] = {
                f"score:{one.judge}:{name}": score for name, score in one.scores.items()
            }
            values[f"judge_state:{one.judge}"] = "invalid" if one.error else "valid"
            for name, value in values.items():
                columns.setdefault(name, [None] * len(rows))[number] = value
    schema = {
        name: pl.String if name.startswith("judge_state:") else pl.Float64 for name in columns
    }
    # Without a judge the frame has no columns, and so no rows: nothing is put beside the others.
    return pl.DataFrame(columns, schema=schema)
