"""What the gate would decide of stored completions with other thresholds and switches.

Works on a snapshot's columns alone, all completions at once, and decides as `gate.decide` does:

    completion_id sample_id draw attempt is_open is_exported   template domain prompt_version teacher model
    cost_nano (null: unpriced)                       label: accepted, rejected or null
    parse_reason: why the reply could not be read, or null
    a column by each measure of the rules that have them, and one of booleans by the code of the rest
    score:<judge>:<dimension> (null: none)           judge_state:<judge>: valid, invalid or null
    flag:safety: a judge raised it                   near:<code>: a looser pattern matches

What a judge would have to be asked about is never guessed at: it counts as unjudged, as it rests
unjudged where the stored completions are evaluated anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from distill.logic.gate import TOLERANCE, GateConfig
from distill.logic.judge_columns import Panel, any_of, is_unheard, judge_hits, mean_columns
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.rules import RULES, Rule, RulesConfig

GROUPS = ("template", "domain", "prompt_version", "teacher", "attempt")
MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What may be moved without asking a model: the rules' switches and values, the thresholds.

    `panel`: the judges whose opinions count, each with the distance to `gate.min_mean` within which
    it is asked (None: always). It does not move: other judges would have to be asked.
    """

    rules: RulesConfig
    gate: GateConfig
    panel: Panel

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The settings that a run with this recipe decides by."""
        return cls(
            recipe.rules, recipe.gate, {judge.name: judge.only_near for judge in recipe.judges}
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """The gate beside what people decided, in completions: who said yes, who said no."""

    both_yes: int
    only_gate: int
    only_people: int
    both_no: int

    @property
    def total(self) -> int:
        return self.both_yes + self.only_gate + self.only_people + self.both_no

    @property
    def agreed(self) -> int:
        return self.both_yes + self.both_no


@dataclass(frozen=True, slots=True)
class Change:
    """A completion that would change sides: `passes` says to which one; `why` by which reasons."""

    completion_id: int
    passes: bool
    why: tuple[Reason, ...]
    mean_score: float | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the settings make of the completions that stand for their sample × draw.

    `passed` by the gate, of which `must_review` carry a flag that nobody has lifted; `accepted` is
    what an export by the gate takes: passed, not rejected by people, and unflagged or accepted by
    them. `unjudged` passed the rules, and a judge would have to be asked; `exported`
    stand in the newest export. `reasons` and `flags` count each
    that a completion has. `cost_nano` is what all attempts and opinions have cost, in 1e-9 USD, None
    where nothing is priced; `unpriced` completions are not in it.
    """

    total: int
    passed: int
    accepted: int
    must_review: int
    unjudged: int
    exported: int
    reasons: tuple[tuple[Reason, int], ...]
    flags: tuple[tuple[Reason, int], ...]
    cost_nano: int | None
    unpriced: int
    agreement: Agreement

    @property
    def cost_per_accepted_nano(self) -> float | None:
        """In 1e-9 USD; None where nothing is accepted, or anything is unpriced."""
        if self.cost_nano is None or self.unpriced or not self.accepted:
            return None
        return self.cost_nano / self.accepted


@dataclass(frozen=True, slots=True)
class GroupYield:
    """How many of a group the settings pass and accept."""

    name: str
    total: int
    passed: int
    accepted: int


@dataclass(frozen=True, slots=True)
class ScanPoint:
    """What a threshold on the mean would do, all else equal.

    `precision` is the share that people accepted of what they decided and the gate passes; None
    where they decided nothing of it.
    """

    min_mean: float
    passed: int
    precision: float | None
    decided: int


def decide_all(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The frame with a column of booleans by each reason and flag, and what follows from them.

    Those are `passed`, `is_flagged`, `accepted`, `is_unjudged`, `is_clear` (neither parsing nor a
    rule stands against it), `lost_at` (the first reason against it, in the order in which they are
    looked at) and `mean_score`.
    """
    panel, config = settings.panel, settings.gate
    frame = frame.with_columns(_parse_hits() + mean_columns(frame, panel))
    frame = frame.with_columns([_rule_hits(rule, settings.rules) for rule in RULES])
    frame = frame.with_columns(judge_hits(frame, panel, config))
    of_form = [*_PARSE, *(rule.code for rule in RULES)]
    early = [code for code in of_form if not code.is_flag]
    late = (Reason.JUDGE_INVALID, Reason.LOW_SCORE)
    flags = [rule.code for rule in RULES if rule.code.is_flag]
    flags += [Reason.SAFETY, Reason.JUDGES_DISAGREE, Reason.NEAR_THRESHOLD]
    frame = frame.with_columns(
        is_clear=~any_of(pl.col(code.value) for code in early),
        is_flagged=any_of(pl.col(code.value) for code in flags),
    ).with_columns(
        is_unjudged=pl.col("is_clear") & is_unheard(frame, panel, config),
    )
    frame = frame.with_columns(lost_at=_first([*early, *late]))
    return frame.with_columns(
        passed=pl.col("is_clear")
        & ~any_of(pl.col(code.value) for code in late)
        & ~pl.col("is_unjudged")
    ).with_columns(
        accepted=pl.col("passed")
        & pl.col("label").ne_missing("rejected")
        & (~pl.col("is_flagged") | pl.col("label").eq_missing("accepted"))
    )


def evaluate(frame: pl.DataFrame, settings: Settings) -> Outcome:
    """What the settings make of the snapshot's open completions."""
    return outcome_of(decide_all(frame.filter("is_open"), settings), paid=frame)


def outcome_of(decided: pl.DataFrame, *, paid: pl.DataFrame) -> Outcome:
    """The counts of a frame that `decide_all` has made; `paid`: the completions that were paid for,
    those that a later attempt has replaced among them.
    """
    sums = decided.select(
        pl.len().alias("total"),
        pl.col("passed", "accepted", "is_unjudged", "is_exported").sum(),
        SHOWN["must_review"].sum().alias("must_review"),
        *(pl.col(code.value).sum().alias(f"count:{code}") for code in LOOKED_AT),
        *_agreement_sums(),
    ).row(0, named=True)  # fmt: skip
    unpriced = paid["cost_nano"].null_count()
    counts = [(code, sums[f"count:{code}"]) for code in LOOKED_AT if sums[f"count:{code}"]]
    counts.sort(key=lambda pair: -pair[1])
    return Outcome(
        total=sums["total"],
        passed=sums["passed"],
        accepted=sums["accepted"],
        must_review=sums["must_review"],
        unjudged=sums["is_unjudged"],
        exported=sums["is_exported"],
        reasons=tuple(pair for pair in counts if not pair[0].is_flag),
        flags=tuple(pair for pair in counts if pair[0].is_flag),
        cost_nano=int(paid["cost_nano"].sum() or 0) if unpriced < len(paid) else None,
        unpriced=unpriced,
        agreement=Agreement(*(sums[name] for name in _AGREEMENT)),
    )


def changes(before: pl.DataFrame, after: pl.DataFrame, settings: Settings) -> tuple[Change, ...]:
    """At most twenty completions that change sides between two frames of `decide_all`.

    Those that people decided come first, then those nearest to the threshold on the mean. `why`:
    the reasons that the side which rejects it has against it.
    """
    codes = [code for code in LOOKED_AT if not code.is_flag]
    moved = after.filter(after["passed"] != before["passed"])
    near = (pl.col("mean_score") - settings.gate.min_mean).abs()
    chosen = moved.sort(
        pl.col("label").is_null(), near, "completion_id", nulls_last=True
    ).head(MOST_EXAMPLES)  # fmt: skip
    ids = chosen["completion_id"].to_list()
    then = {row["completion_id"]: row for row in before.filter(
        pl.col("completion_id").is_in(ids)).iter_rows(named=True)}  # fmt: skip
    return tuple(_change(row, then[row["completion_id"]], codes) for row in chosen.to_dicts())


def yields(decided: pl.DataFrame, group: str) -> tuple[GroupYield, ...]:
    """By a column of `GROUPS`: the largest groups first. InputError is never raised: give a known one."""
    rows = decided.group_by(pl.col(group).cast(pl.String).fill_null("")).agg(
        pl.len(), pl.col("passed", "accepted").sum()
    )
    ordered = rows.sort("len", group, descending=[True, False])
    return tuple(GroupYield(*row) for row in ordered.iter_rows())


def scan(decided: pl.DataFrame, thresholds: Sequence[float]) -> tuple[ScanPoint, ...]:
    """How many would pass at each threshold on the mean, and what people said of those.

    Other reasons stay as they were decided, and so does who must still be asked; a threshold on a
    single dimension counts as met.
    """
    others = (
        pl.col("is_clear")
        & ~pl.col(Reason.JUDGE_INVALID.value)
        & ~pl.col("is_unjudged")
        & pl.col("mean_score").is_not_null()
    )
    able = decided.filter(others).select("mean_score", "label")
    rows = able.select(
        *(
            expression
            for number, threshold in enumerate(thresholds)
            for expression in _at(threshold, number)
        )
    ).row(0)
    return tuple(
        ScanPoint(threshold, rows[3 * n], rows[3 * n + 1] / rows[3 * n + 2]
                  if rows[3 * n + 2] else None, rows[3 * n + 2])
        for n, threshold in enumerate(thresholds)
    )  # fmt: skip


_PARSE = (Reason.UNPARSEABLE, Reason.MISSING_FIELD, Reason.TRUNCATED)
LOOKED_AT: tuple[Reason, ...] = (
    *(*_PARSE, *(rule.code for rule in RULES), Reason.JUDGE_INVALID, Reason.LOW_SCORE),
    *(Reason.SAFETY, Reason.JUDGES_DISAGREE, Reason.NEAR_THRESHOLD),
)
"""Every reason and flag that `decide_all` makes a column of."""


def _first(codes: Sequence[Reason]) -> pl.Expr:
    """The first of these reasons that a completion has; null where it has none."""
    return pl.coalesce(
        *(pl.when(pl.col(code.value)).then(pl.lit(code.value)) for code in codes),
        pl.lit(None, pl.String),
    )


def _rule_hits(rule: Rule, config: RulesConfig) -> pl.Expr:
    """From the stored measures, else as it was stored; a rule that is off hits nothing."""
    name = rule.code.value
    if not config.is_on(rule.code):
        return pl.lit(value=False).alias(name)
    return rule.hits(config).alias(name) if rule.measures(config) else pl.col(name)


def _parse_hits() -> list[pl.Expr]:
    return [pl.col("parse_reason").eq_missing(code.value).alias(code.value) for code in _PARSE]


_AGREEMENT = ("both_yes", "only_gate", "only_people", "both_no")


def _agreement_sums() -> list[pl.Expr]:
    yes, no = pl.col("label").eq_missing("accepted"), pl.col("label").eq_missing("rejected")
    gate = pl.col("passed")
    cells = (gate & yes, gate & no, ~gate & yes, ~gate & no)
    return [cell.sum().alias(name) for name, cell in zip(_AGREEMENT, cells, strict=True)]


def _at(threshold: float, number: int) -> tuple[pl.Expr, ...]:
    passes = pl.col("mean_score") >= threshold - TOLERANCE
    decided = passes & pl.col("label").is_not_null()
    return (
        passes.sum().alias(f"passed:{number}"),
        (passes & pl.col("label").eq_missing("accepted")).sum().alias(f"yes:{number}"),
        decided.sum().alias(f"decided:{number}"),
    )


def _change(after: dict[str, object], before: dict[str, object], codes: list[Reason]) -> Change:
    against = before if after["passed"] else after
    return Change(
        completion_id=int(str(after["completion_id"])),
        passes=bool(after["passed"]),
        why=tuple(code for code in codes if against.get(code)),
        mean_score=float(str(after["mean_score"])) if after["mean_score"] is not None else None,
        label=str(after["label"]) if after["label"] else None,
    )


SHOWN: Mapping[str, pl.Expr] = {
    "all": pl.lit(value=True),
    "judged": pl.col("is_clear") & ~pl.col("is_unjudged"),
    "unjudged": pl.col("is_unjudged"),
    "exported": pl.col("is_exported"),
    "passed": pl.col("passed"),
    "accepted": pl.col("accepted"),
    "reviewed": pl.col("passed") & pl.col("label").eq_missing("accepted"),
    "not_reviewed": pl.col("passed") & pl.col("label").ne_missing("accepted"),
    "kept_out": pl.col("passed") & ~pl.col("accepted"),
    "must_review": pl.col("passed")
    & pl.col("is_flagged")
    & ~pl.col("accepted")
    & pl.col("label").ne_missing("rejected"),
}
"""The completions behind the numbers of an outcome, by name."""
