"""Completions as training examples, in batches and flat memory."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe, default_recipe
from distill.logic.sft import sft_row
from distill.logic.templates import write_reply
from distill.logic.types import Message, Scores
from distill.models import Completion, Decision, Judgement, Label
from distill.models import Recipe as RecipeRow
from distill.queries.sent_messages import first_messages

_BATCH = 500
_NOT_NEEDED = ("sample__metadata", "parent__text", "parent__fields", "state_row__verdict__evidence")


@dataclass(frozen=True, slots=True)
class RecipeName:
    """A recipe as a manifest names it."""

    name: str
    version: int
    sha256: str


class _Judged(NamedTuple):
    judge: str
    teacher: str
    rubric_version: str
    scores: dict[str, float]


class SftRows:
    """Reads completions as rows of `logic.sft`, in the order of the ids that it is given.

    The question is that of a first attempt, whichever attempt is taken: a student is never asked
    with an earlier answer's faults. The answer is written from the parsed fields, or from those of
    the person who edited it. What it meets on the way (teachers, recipes) it remembers.
    """

    def __init__(self) -> None:
        self._contents: dict[int, Recipe] = {}
        self._default = default_recipe()
        self.recipes: dict[int, RecipeName] = {}
        self.teachers: set[str] = set()
        self.judges: set[str] = set()

    def read(self, ids: array[int]) -> Iterator[dict[str, Any]]:
        """One row after the other; completions deleted in the meantime are left out."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            found = {one.pk: one for one in _load(batch)}
            judgements = _judgements(batch)
            for pk in batch:
                if pk in found:
                    yield self._row(found[pk], judgements.get(pk, []))

    def _row(self, completion: Completion, judgements: list[_Judged]) -> dict[str, Any]:
        sample, state = completion.sample, completion.state_row
        recipe, recipe_hash = self._recipe_of(completion)
        self.teachers.add(completion.teacher)
        self.judges |= {judged.teacher for judged in judgements}
        decision = _decision(completion)
        return sft_row(
            messages=(*_question(recipe, completion), _answer(recipe, completion, decision)),
            completion_id=completion.key,
            parent_id=completion.parent.key if completion.parent else None,
            sample_id=sample.key,
            source_id=sample.source_key,
            domain=sample.domain,
            template_name=completion.template_name,
            split=sample.split,
            teacher=completion.teacher,
            model=completion.model,
            attempt=completion.attempt,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            judge_scores=[Scores(one.judge, one.scores) for one in judgements],
            mean_score=state.mean_score,
            gate_reasons=state.reasons,
            decision=decision.kind if decision else None,
            recipe_hash=recipe_hash,
            include_system=recipe.export.include_system,
        )

    def _recipe_of(self, completion: Completion) -> tuple[Recipe, str]:
        """Its own recipe, else the one that it was judged under, else the default."""
        verdict = completion.state_row.verdict
        recipe_id = completion.recipe_id or (verdict.recipe_id if verdict else None)
        if recipe_id is None:
            return self._default, ""
        if recipe_id not in self._contents:
            # Not joined: a recipe's document is longer than most completions.
            row = RecipeRow.objects.get(pk=recipe_id)
            self._contents[recipe_id] = row.content
            self.recipes[recipe_id] = RecipeName(row.name, row.version, row.sha256)
        return self._contents[recipe_id], self.recipes[recipe_id].sha256


def _load(ids: Sequence[int]) -> QuerySet[Completion]:
    return (
        Completion.objects.filter(pk__in=ids)
        .select_related("sample", "parent", "state_row__verdict", "label__decision")
        .defer(*_NOT_NEEDED)
    )


def _judgements(ids: array[int]) -> dict[int, list[_Judged]]:
    """The valid ones of each completion, in an order that no database decides."""
    rows = Judgement.objects.filter(completion__in=ids).exclude(scores={}).order_by()
    found: dict[int, list[_Judged]] = defaultdict(list)
    # Plain values: models and a prefetch take three times as long.
    for pk, *judged in rows.values_list(
        "completion", "judge", "teacher", "rubric_version", "scores"
    ):
        found[pk].append(_Judged(*judged))
    for judgements in found.values():
        judgements.sort(key=str)
    return found


def _decision(completion: Completion) -> Decision | None:
    label: Label | None = getattr(completion, "label", None)
    is_accepted = label is not None and label.outcome == Label.Outcome.ACCEPTED
    return label.decision if label and is_accepted else None


def _question(recipe: Recipe, completion: Completion) -> tuple[Message, ...]:
    try:
        return first_messages(recipe, completion.sample)
    except InputError:
        # An imported sample may name a template of its own: its instruction is the question.
        sample = completion.sample
        return (Message("user", f"{sample.instruction}\n\n{sample.text}".strip()),)


def _answer(recipe: Recipe, completion: Completion, decision: Decision | None) -> Message:
    fields = (decision.fields if decision else None) or completion.fields
    template = recipe.templates.get(completion.template_name)
    text = write_reply(template, fields) if template and fields else ""
    return Message("assistant", text or completion.text)
