"""What became of each contender's answers, read once, when an evaluation is summed up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef

from distill.models import Completion, Recipe, SampleDraw, Verdict
from training.logic.report import Scored
from training.models import Contender, Evaluation

_CUT_OFF = ("length", "max_tokens")


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """The teacher's stored first attempts. `num_foreign` have a verdict of another recipe alone."""

    name: str
    by_key: Mapping[str, Scored]
    num_foreign: int
    num_others: int
    """By another teacher than `name`."""


def contender_answers(contender: Contender) -> dict[str, Scored]:
    """Each answer of a student or base with the verdict of its scoring run, by sample key."""
    draws = SampleDraw.objects.filter(run=contender.run_id, completion__isnull=False)
    return {
        draw.sample.key: _scored(draw.completion, draw.verdict)
        for draw in draws.select_related("sample", "completion", "verdict")
        if draw.completion is not None
    }


def teacher_answers(evaluation: Evaluation, keys: Collection[str]) -> TeacherAnswers:
    """The first attempts at these samples that are stored; nothing is asked.

    Of several the one that the evaluation's recipe has decided is taken, then the one by the
    recipe's teacher, then the newest. The verdict is the newest under that recipe, else the newest.
    """
    recipe = evaluation.recipe
    decided = Verdict.objects.filter(completion=OuterRef("pk"), recipe=recipe)
    firsts = Completion.objects.filter(
        sample__dataset=evaluation.training_run.dataset,
        sample__key__in=keys,
        attempt=1,
        draw=0,
        origin__in=[Completion.Origin.GENERATED, Completion.Origin.IMPORTED],
    ).annotate(is_decided=Exists(decided), sample_key=F("sample__key"))
    chosen: dict[str, Completion] = {}
    for completion in sorted(firsts, key=lambda one: _rank(one, recipe)):
        chosen[vars(completion)["sample_key"]] = completion
    verdicts = _newest_verdicts(list(chosen.values()), recipe)
    names = [completion.teacher for completion in chosen.values()]
    name = max(sorted(set(names)), key=names.count, default="")
    return TeacherAnswers(
        name=name,
        by_key={key: _scored(one, verdicts.get(one.pk)) for key, one in chosen.items()},
        num_foreign=sum(verdict.recipe_id != recipe.pk for verdict in verdicts.values()),
        num_others=len(names) - names.count(name),
    )


def _rank(completion: Completion, recipe: Recipe) -> tuple[bool, bool, int]:
    is_own = completion.teacher == recipe.document["teacher"]["name"]
    return vars(completion)["is_decided"], is_own, completion.pk


def _newest_verdicts(completions: Sequence[Completion], recipe: Recipe) -> dict[int, Verdict]:
    """Under the recipe where there is one, else under any."""
    found: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in Verdict.objects.filter(completion__in=completions).order_by("pk"):
        found[verdict.completion_id].append(verdict)
    return {
        pk: max(verdicts, key=lambda one: (one.recipe_id == recipe.pk, one.pk))
        for pk, verdicts in found.items()
    }


def _scored(completion: Completion, verdict: Verdict | None) -> Scored:
    return Scored(
        completion=completion.pk,
        passed=verdict.passed if verdict else None,
        stage=verdict.stage if verdict else "",
        reasons=tuple(verdict.reasons) if verdict else (),
        mean_score=verdict.mean_score if verdict else None,
        length=len(completion.text),
        is_truncated=completion.finish_reason in _CUT_OFF,
    )
