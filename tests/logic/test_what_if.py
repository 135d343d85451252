"""What-if decides as the gate does, of all completions at once."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic import gate
from distill.logic.gate import GateConfig
from distill.logic.panel import judges_to_ask
from distill.logic.reasons import Reason
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.rules import RULES, RulesConfig
from distill.logic.types import Evidence, Scores
from distill.logic.what_if import Settings, changes, decide_all, evaluate, scan, yields

DIMENSIONS = ("grounding", "plausibility")
OFF = RulesConfig(**{rule.switch: False for rule in RULES})
CITED = OFF.model_copy(update={"citation": True, "too_short": True})
SCORE = st.integers(0, 20).map(lambda twentieth: twentieth / 20)


@st.composite
def completions(draw):
    judges: dict[str, Scores | Evidence] = {}
    for judge in ("F", "R"):
        kind = draw(st.sampled_from(["none", "invalid", "valid"]))
        if kind == "invalid":
            judges[judge] = Evidence(Reason.JUDGE_INVALID, "no JSON")
        elif kind == "valid":
            flags = draw(st.sampled_from([(), ("safety_x",)]))
            scores = {name: draw(SCORE) for name in DIMENSIONS}
            judges[judge] = Scores(judge, scores, flags=flags)
    return {
        "parse_reason": draw(st.sampled_from([None, Reason.UNPARSEABLE, Reason.TRUNCATED])),
        "chars": draw(st.integers(0, 300)),
        "citation": draw(st.booleans()),
        "label": draw(st.sampled_from([None, "accepted", "rejected"])),
        "judges": judges,
    }


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The columns of a snapshot, as much of them as these settings look at."""
    columns = [
        {
            "completion_id": number,
            "is_open": True,
            "is_exported": False,
            "cost_nano": 1000,
            "label": row["label"],
            "parse_reason": row["parse_reason"] and row["parse_reason"].value,
            "chars": row["chars"],
            "token_count": 1000,
            "citation": row["citation"],
            "domain": "soil",
            "flag:safety": any(
                isinstance(one, Scores) and bool(one.flags) for one in row["judges"].values()
            ),
        }
        | {f"judge_state:{judge}": _state(row["judges"].get(judge)) for judge in ("F", "R")}
        | {
            f"score:{judge}:{name}": _score(row["judges"].get(judge), name)
            for judge in ("F", "R")
            for name in DIMENSIONS
        }
        for number, row in enumerate(rows)
    ]
    schema = dict.fromkeys([name for name in columns[0] if name.startswith("score")], pl.Float64)
    texts = ("label", "parse_reason", "judge_state:F", "judge_state:R")
    return pl.DataFrame(columns, schema_overrides=schema | dict.fromkeys(texts, pl.String))


def _state(opinion):
    if opinion is None:
        return None
    return "valid" if isinstance(opinion, Scores) else "invalid"


def _score(opinion, name):
    return opinion.by_dimension[name] if isinstance(opinion, Scores) else None


def by_the_gate(row: dict[str, Any], settings: Settings):
    """What `gate.decide` says of the same completion."""
    parse = [Evidence(row["parse_reason"], "")] if row["parse_reason"] else []
    rules = []
    if settings.rules.citation and row["citation"]:
        rules.append(Evidence(Reason.CITATION, ""))
    if settings.rules.too_short and row["chars"] <= settings.rules.min_chars:
        rules.append(Evidence(Reason.TOO_SHORT, ""))
    return gate.decide(
        parse_evidence=parse,
        rule_evidence=rules,
        judgements=list(row["judges"].values()),
        config=settings.gate,
        judged=False,
    )


@given(
    rows=st.lists(completions(), min_size=1, max_size=12),
    min_mean=SCORE,
    min_grounding=SCORE,
    band=st.sampled_from([0.0, 0.1]),
    spread=st.sampled_from([0.0, 0.3, 1.0]),
    min_chars=st.integers(0, 300),
    cited=st.booleans(),
    panel=st.sampled_from([{"F": None, "R": None}, {"F": None, "R": 0.2}, {"F": None}, {}]),
)
def test_it_decides_as_a_re_evaluation_does(
    rows, min_mean, min_grounding, band, spread, min_chars, cited, panel
):  # fmt: skip
    rules = CITED.model_copy(update={"min_chars": min_chars, "min_tokens": 0, "citation": cited})
    config = GateConfig(
        min_mean=min_mean,
        min_scores={"grounding": min_grounding},
        max_disagreement=spread,
        review_band=band,
    )
    judges = tuple(JudgeConfig(name=name, only_near=near) for name, near in panel.items())
    recipe = Recipe(judges=judges, gate=config, rules=rules)
    settings = Settings.of(recipe)
    decided = decide_all(frame_of(rows), settings)
    for given_row, found in zip(rows, decided.to_dicts(), strict=True):
        heard = {name: one for name, one in given_row["judges"].items() if name in panel}
        row = given_row | {"judges": heard}
        verdict = by_the_gate(row, settings)
        is_missing = found["is_clear"] and bool(judges_to_ask(recipe, heard))
        assert found["is_unjudged"] == is_missing
        assert found["passed"] == (verdict.passed and not is_missing)
        assert found["mean_score"] == pytest.approx(verdict.mean_score)
        assert set(verdict.reasons) == {
            code for code in Reason if not code.is_flag and found.get(code)
        }
        if ("F" in panel and "R" in panel) or not row["judges"].keys() ^ given_row["judges"].keys():
            assert {flag.reason for flag in verdict.flags} == {
                code for code in Reason if code.is_flag and found.get(code)
            }


def judged(
    mean: float, *, label: str | None = None, chars: int = 300, flags: tuple[str, ...] = ()
) -> dict[str, Any]:
    scores = Scores("F", dict.fromkeys(DIMENSIONS, mean), flags=flags)
    return {
        "parse_reason": None, "chars": chars, "citation": False, "label": label,
        "judges": {"F": scores},
    }  # fmt: skip


PANEL = {"F": None}
GATE = Settings(OFF, GateConfig(), PANEL)


def test_an_outcome_counts_what_each_word_says():
    rows = [
        judged(0.9),
        judged(0.9, label="rejected"),
        judged(0.9, flags=("safety_x",)),
        judged(0.9, flags=("safety_x",), label="accepted"),
        judged(0.5, label="accepted"),
        judged(0.5, label="rejected"),
        judged(0.9) | {"judges": {}},
    ]
    outcome = evaluate(frame_of(rows), GATE)
    assert (outcome.total, outcome.passed, outcome.accepted) == (7, 4, 2)
    assert (outcome.must_review, outcome.unjudged) == (1, 1)
    assert outcome.reasons == ((Reason.LOW_SCORE, 2),)
    assert outcome.flags == ((Reason.SAFETY, 2),)
    assert (outcome.cost_nano, outcome.cost_per_accepted_nano) == (7000, 3500)
    agreement = outcome.agreement
    cells = (agreement.both_yes, agreement.only_gate, agreement.only_people, agreement.both_no)
    assert cells == (1, 1, 1, 1)
    assert (agreement.total, agreement.agreed) == (4, 2)


def test_what_is_closed_counts_for_nothing():
    frame = frame_of([judged(0.9)]).with_columns(is_open=pl.lit(value=False))
    assert evaluate(frame, GATE).total == 0


def test_an_unknown_price_is_no_price():
    frame = frame_of([judged(0.9), judged(0.9)])
    unpriced = frame.with_columns(cost_nano=pl.Series([1000, None]))
    outcome = evaluate(unpriced, GATE)
    assert (outcome.unpriced, outcome.cost_per_accepted_nano) == (1, None)
    assert evaluate(frame.with_columns(cost_nano=pl.lit(None, pl.Int64)), GATE).cost_nano is None


def test_changes_name_what_moved_and_why_decided_ones_first():
    rows = [judged(0.78), judged(0.70, label="accepted"), judged(0.9), judged(0.2)]
    frame = frame_of(rows)
    lower = Settings(OFF, GateConfig(min_mean=0.6), PANEL)
    before, after = decide_all(frame, GATE), decide_all(frame, lower)
    found = changes(before, after, lower)
    assert [(one.completion_id, one.passes, one.label) for one in found] == [
        (1, True, "accepted"), (0, True, None),
    ]  # fmt: skip
    assert {one.why for one in found} == {(Reason.LOW_SCORE,)}
    back = changes(after, before, GATE)
    assert {(one.completion_id, one.passes) for one in back} == {(0, False), (1, False)}


def test_at_most_twenty_changes_are_shown():
    frame = frame_of([judged(0.7) for _ in range(50)])
    after = decide_all(frame, Settings(OFF, GateConfig(min_mean=0.5), PANEL))
    assert len(changes(decide_all(frame, GATE), after, GATE)) == 20


def test_a_scan_agrees_with_deciding_at_each_threshold():
    rows = [judged(n / 10, label="accepted" if n > 6 else "rejected") for n in range(11)]
    decided = decide_all(frame_of(rows), GATE)
    thresholds = [0.0, 0.55, 0.8, 1.0]
    for point in scan(decided, thresholds):
        settings = Settings(OFF, GateConfig(min_mean=point.min_mean), PANEL)
        outcome = evaluate(frame_of(rows), settings)
        assert point.passed == outcome.passed
        yes, no = outcome.agreement.both_yes, outcome.agreement.only_gate
        assert (point.decided, point.precision) == (yes + no, yes / (yes + no))


def test_yields_add_up_to_the_whole():
    frame = frame_of([judged(0.9), judged(0.1)]).with_columns(domain=pl.Series(["soil", None]))
    groups = yields(decide_all(frame, GATE), "domain")
    assert {(one.name, one.total, one.passed) for one in groups} == {("soil", 1, 1), ("", 1, 0)}


def test_without_judges_the_rules_decide():
    frame = frame_of([judged(0.9)]).select(pl.exclude("^(judge_state|score):.*$"))
    outcome = evaluate(frame, Settings(OFF, GateConfig(), {}))
    assert (outcome.passed, outcome.unjudged) == (1, 0)
    assert evaluate(frame, GATE).unjudged == 1
