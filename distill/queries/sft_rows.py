"""Completions as training examples, in batches and flat memory."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf, Trim

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe, default_recipe
from distill.logic.sft import gate_version, prompt_version, sft_row
from distill.logic.templates import Template, write_reply
from distill.logic.types import Message, Scores
from distill.models import Completion, Decision, Judgement, Label, Reply
from distill.models import Recipe as RecipeRow
from distill.queries.sent_messages import first_messages

_BATCH = 500
_NOT_NEEDED = ("sample__metadata", "parent__text", "parent__fields", "state_row__verdict__evidence")

_LICENSE_KEYS = ("source_license", "license", "licence")
"""Columns of a file that tell the licence of a source text; the first that says something."""

_LICENSE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class UsedRecipe:
    """A recipe that asked for, or decided on, some of the rows."""

    name: str
    sha256: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _KnownRecipe:
    used: UsedRecipe
    content: Recipe
    gate_version: str


class _Judged(NamedTuple):
    judge: str
    teacher: str
    rubric_version: str
    scores: dict[str, float]


class SftRows:
    """Reads completions as rows of `logic.sft`, in the order of the ids that it is given.

    The question is that of a first attempt, whichever attempt is taken: a student is never asked
    with an earlier answer's faults. The answer is written from the parsed fields, or from those of
    the person who edited it. The recipes that it meets on the way it remembers.
    """

    def __init__(self) -> None:
        self._known: dict[int, _KnownRecipe] = {}
        self._default = default_recipe()

    @property
    def recipes(self) -> list[UsedRecipe]:
        """Every recipe met so far, in an order that no database decides."""
        used = (known.used for known in self._known.values())
        return sorted(used, key=lambda one: (one.name, one.sha256))

    def read(self, ids: array[int]) -> Iterator[dict[str, Any]]:
        """One row after the other; completions deleted in the meantime are left out."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            found = {one.pk: one for one in _load(batch)}
            judgements = _judgements(batch)
            costs = _costs(found.values())
            for pk in batch:
                if pk in found:
                    one = found[pk]
                    yield self._row(one, judgements.get(pk, []), costs.get(one.call_id))

    def _row(
        self, completion: Completion, judgements: list[_Judged], cost_nano: int | None
    ) -> dict[str, Any]:
        sample, state = completion.sample, completion.state_row
        asked = self._recipe(completion.recipe_id)
        decided = self._recipe(state.verdict.recipe_id if state.verdict else None)
        known = asked or decided
        recipe = known.content if known else self._default
        template = recipe.templates.get(completion.template_name)
        label = _accepting_label(completion)
        decision = label.decision if label else None
        return sft_row(
            messages=(*_question(recipe, completion), _answer(template, completion, decision)),
            completion_id=completion.key,
            parent_id=completion.parent.key if completion.parent else None,
            sample_id=sample.key,
            source_id=sample.source_key,
            source_text=sample.text,
            source_license=_license(completion),
            domain=sample.domain,
            template_name=completion.template_name,
            split=sample.split,
            teacher=completion.teacher,
            model=completion.model,
            teacher_params=asked.content.teacher.parameters if asked else None,
            prompt_version=prompt_version(template) if template else None,
            draw=completion.draw,
            attempt=completion.attempt,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            cost_nano=cost_nano,
            judge_models={one.teacher for one in judgements},
            judge_scores=[Scores(one.judge, one.scores) for one in judgements],
            mean_score=state.mean_score,
            gate_version=decided.gate_version if decided else None,
            gate_reasons=state.reasons,
            decision=decision.kind if decision else None,
            label_basis=label.basis if label else None,
            recipe_hash=known.used.sha256 if known else "",
            include_system=recipe.export.include_system,
        )

    def _recipe(self, recipe_id: int | None) -> _KnownRecipe | None:
        if recipe_id is None:
            return None
        if recipe_id not in self._known:
            # Not joined: a recipe's document is longer than most completions.
            row = RecipeRow.objects.get(pk=recipe_id)
            used = UsedRecipe(row.name, row.sha256, row.document)
            self._known[recipe_id] = _KnownRecipe(used, row.content, gate_version(row.content))
        return self._known[recipe_id]


def _load(ids: Sequence[int]) -> QuerySet[Completion]:
    return (
        Completion.objects.filter(pk__in=ids)
        .select_related("sample", "parent", "state_row__verdict", "label__decision")
        .defer(*_NOT_NEEDED)
        # A few words of the metadata, which may hold a megabyte.
        .annotate(source_license=Coalesce(*map(_told, _LICENSE_KEYS)))
    )


def _told(key: str) -> NullIf:
    return NullIf(Trim(KeyTextTransform(key, "sample__metadata")), Value("", TextField()))


def _license(completion: Completion) -> str | None:
    told: str | None = vars(completion)["source_license"]
    return " ".join(told.split())[:_LICENSE_CHARACTERS] if told else None


def _costs(completions: Iterable[Completion]) -> dict[int | None, int | None]:
    """What each call's accepted reply cost, in 1e-9 USD; None where that is not known."""
    calls = {one.call_id for one in completions if one.call_id}
    accepted = Reply.objects.filter(call__in=calls, outcome=Reply.ACCEPTED)
    return dict(accepted.values_list("call", "cost_nano"))


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


def _accepting_label(completion: Completion) -> Label | None:
    label: Label | None = getattr(completion, "label", None)
    return label if label and label.outcome == Label.Outcome.ACCEPTED else None


def _question(recipe: Recipe, completion: Completion) -> tuple[Message, ...]:
    try:
        return first_messages(recipe, completion.sample)
    except InputError:
        # An imported sample may name a template of its own: its instruction is the question.
        sample = completion.sample
        return (Message("user", f"{sample.instruction}\n\n{sample.text}".strip()),)


def _answer(
    template: Template | None, completion: Completion, decision: Decision | None
) -> Message:
    fields = (decision.fields if decision else None) or completion.fields
    text = write_reply(template, fields) if template and fields else ""
    return Message("assistant", text or completion.text)
