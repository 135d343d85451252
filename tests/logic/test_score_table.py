"""A verdict's scores, judge by dimension, beside the thresholds that decided."""

from __future__ import annotations

import pytest

from distill.logic.gate import GateConfig
from distill.logic.score_table import score_table

GATE = GateConfig(min_mean=0.8, min_scores={"novelty": 0.5})


def test_nobody_scored() -> None:
    assert score_table({}, GATE).rows == ()
    assert score_table({"a": {}}, GATE).rows == ()


def test_each_dimension_is_the_mean_of_the_judges_that_scored_it() -> None:
    table = score_table({"a": {"novelty": 0.4, "safety": 1.0}, "b": {"novelty": 0.5}}, GATE)
    assert table.judges == ("a", "b")
    novelty, safety, mean = table.rows
    assert (novelty.scores, novelty.minimum, novelty.is_low) == ((0.4, 0.5), 0.5, True)
    assert novelty.mean == pytest.approx(0.45)
    assert (safety.scores, safety.minimum, safety.is_low) == ((1.0, None), None, False)
    assert mean.name == "mean"
    assert list(mean.scores) == pytest.approx([0.7, 0.5])
    assert mean.mean == pytest.approx(1.9 / 3)
    assert mean.is_low


def test_a_judge_without_scores_has_no_column() -> None:
    assert score_table({"a": {}, "b": {"novelty": 0.9}}, GATE).judges == ("b",)


def test_a_score_at_its_threshold_is_high_enough() -> None:
    table = score_table({"a": {"novelty": 0.5}, "b": {"safety": 1.1}}, GATE)
    assert not any(row.is_low for row in table.rows)
