"""What judges have said of completions before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.rubric import rubric_stamp
from distill.logic.types import Evidence, Scores
from distill.models import Judgement


def stored_opinions(recipe: Recipe, ids: Sequence[int]) -> dict[int, dict[str, Scores | Evidence]]:
    """By completion and judge: the latest opinion of each judge that the recipe has.

    Only of the same model, asked with the same rubric and role: another question has another answer.
    """
    stamps = stamps_of(recipe)
    found: dict[int, dict[str, Scores | Evidence]] = defaultdict(dict)
    rows = Judgement.objects.filter(completion__in=ids, judge__in=stamps).order_by("pk")
    for one in rows:
        if stamps[one.judge] == (one.teacher, one.rubric_version):
            found[one.completion_id][one.judge] = _opinion(one)
    return found


def stamps_of(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """By judge: the model asked and the stamp of its rubric and role, as its opinions carry them."""
    return {
        judge.name: (judge.teacher, rubric_stamp(recipe.rubric_of(judge), judge.role))
        for judge in recipe.judges
    }


def _opinion(stored: Judgement) -> Scores | Evidence:
    if stored.error:
        return Evidence(Reason.JUDGE_INVALID, stored.error)
    return Scores(stored.judge, stored.scores, stored.rationale, tuple(stored.flags))
