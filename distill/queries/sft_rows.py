"""Completions as training examples, in batches and flat memory."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, BooleanField, F, Func, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Left, NullIf, Trim

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe, default_recipe
from distill.logic.sft import gate_version, params_json, prompt_version, sft_row
from distill.logic.templates import write_reply
from distill.logic.types import Message, SampleText, Scores
from distill.models import Completion, Judgement, Label, Reply
from distill.models import Recipe as RecipeRow
from distill.queries.rejected import rejections_of
from distill.queries.sent_messages import first_messages

_BATCH = 1_000

_LICENSE_KEYS = ("source_license", "license", "licence")
"""Columns of a file that tell the licence of a source text; the first that says something."""

_LICENSE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class UsedRecipe:
    """A recipe that asked for, or decided on, some of the rows."""

    name: str
    sha256: str
    document: dict[str, Any]


@dataclass(slots=True)
class _KnownRecipe:
    """What is the same for every row of a recipe: worked out once."""

    used: UsedRecipe | None
    content: Recipe
    gate_version: str = field(init=False)
    teacher_params: str = field(init=False)
    prompt_versions: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.gate_version = gate_version(self.content)
        self.teacher_params = params_json(self.content.teacher.parameters)
        templates = self.content.templates.items()
        self.prompt_versions = {name: prompt_version(one) for name, one in templates}


class _Stored(NamedTuple):
    """A completion with its sample, state and label, as plain values: models take twice as long."""

    pk: int
    key: str
    parent_key: str | None
    draw: int
    attempt: int
    teacher: str
    model: str
    template_name: str
    text: str
    fields: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    call_id: int | None
    recipe_id: int | None
    sample_key: str
    source_key: str
    sample_text: str
    domain: str
    sample_template: str
    instruction: str
    title: str
    split: str
    license: str | None
    state: str
    mean_score: float | None
    reasons: list[str]
    flags: list[str]
    deciding_recipe_id: int | None
    stage: str | None
    outcome: str | None
    basis: str | None
    decision: str | None
    edited: str | None
    reviewer_id: int | None


_COLUMNS = (
    *("pk", "key", "parent__key", "draw", "attempt", "teacher", "model", "template_name", "text"),
    *("parsed", "finish_reason", "prompt_tokens", "completion_tokens", "call", "recipe"),
    *("sample__key", "sample__source_key", "sample__text", "sample__domain"),
    *("sample__template_name", "sample__instruction", "sample__title", "sample__split", "license"),
    *("state_row__state", "state_row__mean_score", "state_row__reasons", "state_row__flags"),
    *("state_row__verdict__recipe", "state_row__verdict__stage", "label__outcome", "label__basis"),
    *("label__decision__kind", "edited", "label__decision__reviewer"),
)


class SftRows:
    """Reads completions as rows of `logic.sft`, in the order of the ids that it is given.

    The question is that of a first attempt, whichever attempt is taken: a student is never asked
    with an earlier answer's faults. The answer is written from the parsed fields, or from those of
    the person who edited it. The recipes and reviewers that it meets on the way it remembers;
    reviewers are numbered as they come, so that their names say nothing outside of one export.
    """

    def __init__(self) -> None:
        self._known: dict[int, _KnownRecipe] = {}
        self._default = _KnownRecipe(None, default_recipe())
        self._reviewers: dict[int, str] = {}

    @property
    def recipes(self) -> list[UsedRecipe]:
        """Every recipe met so far, in an order that no database decides."""
        used = (known.used for known in self._known.values() if known.used)
        return sorted(used, key=lambda one: (one.name, one.sha256))

    def read(self, ids: array[int]) -> Iterator[dict[str, Any]]:
        """One row after the other; completions deleted in the meantime are left out."""
        for _one, row in self._read(ids):
            yield row

    def read_rejected(self, ids: array[int]) -> Iterator[dict[str, Any]]:
        """As `read`, with who rejected it, at what stage, and the reasons that people gave.

        Their notes are left out: free words may name somebody.
        """
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            said = rejections_of(batch)
            for one, row in self._read(batch):
                by_people = one.outcome == Label.Outcome.REJECTED
                by_gate = one.state == "rejected"
                reasons = {reason.value for each in said.get(one.pk, ()) for reason in each.reasons}
                yield row | {
                    "rejected_by": ["gate"] * by_gate + ["people"] * by_people,
                    "rejected_stage": (one.stage or None) if by_gate else "review",
                    "review_reasons": sorted(reasons),
                }

    def by_id(self, ids: array[int], *, with_edits: bool = True) -> dict[int, dict[str, Any]]:
        """Rows by completion; without edits the answers are the model's own. Held in memory."""
        return {one.pk: row for one, row in self._read(ids, with_edits=with_edits)}

    def _read(
        self, ids: array[int], *, with_edits: bool = True
    ) -> Iterator[tuple[_Stored, dict[str, Any]]]:
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            found = {one.pk: one for one in _load(batch)}
            judgements = _judgements(batch)
            costs = _costs(found)
            for pk in batch:
                if pk in found:
                    one = found[pk]
                    scored = judgements.get(pk, [])
                    cost = costs.get(one.call_id)
                    yield one, self._row(one, scored, cost, with_edits=with_edits)

    def _row(
        self,
        one: _Stored,
        judgements: list[tuple[str, str, str, dict[str, float]]],
        cost_nano: int | None,
        *,
        with_edits: bool,
    ) -> dict[str, Any]:
        asked = self._recipe(one.recipe_id)
        decided = self._recipe(one.deciding_recipe_id)
        known = asked or decided or self._default
        edited = one.edited if with_edits and one.outcome == Label.Outcome.ACCEPTED else None
        fields: dict[str, str] = orjson.loads(edited or one.fields)
        return sft_row(
            messages=(*_question(known.content, one), _answer(known.content, one, fields)),
            completion_id=one.key,
            parent_id=one.parent_key,
            sample_id=one.sample_key,
            source_id=one.source_key,
            source_text=one.sample_text,
            source_license=" ".join(one.license.split()) if one.license else None,
            domain=one.domain,
            template_name=one.template_name,
            split=one.split,
            teacher=one.teacher,
            model=one.model,
            teacher_params=asked.teacher_params if asked else None,
            prompt_version=known.prompt_versions.get(one.template_name),
            draw=one.draw,
            attempt=one.attempt,
            finish_reason=one.finish_reason,
            prompt_tokens=one.prompt_tokens,
            completion_tokens=one.completion_tokens,
            cost_nano=cost_nano,
            judge_models={teacher for _judge, teacher, _version, _scores in judgements},
            judge_scores=[Scores(judge, scores) for judge, _, _, scores in judgements],
            mean_score=one.mean_score,
            gate_version=decided.gate_version if decided else None,
            gate_reasons=one.reasons,
            gate_flags=one.flags,
            decision=one.decision,
            label_basis=one.basis,
            reviewer=self._reviewer(one.reviewer_id),
            recipe_hash=known.used.sha256 if known.used else "",
            include_system=known.content.export.include_system,
        )

    def _reviewer(self, reviewer_id: int | None) -> str | None:
        if reviewer_id is None:
            return None
        return self._reviewers.setdefault(reviewer_id, f"reviewer-{len(self._reviewers) + 1}")

    def _recipe(self, recipe_id: int | None) -> _KnownRecipe | None:
        if recipe_id is None:
            return None
        if recipe_id not in self._known:
            # Not joined: a recipe's document is longer than most completions.
            row = RecipeRow.objects.get(pk=recipe_id)
            used = UsedRecipe(row.name, row.sha256, row.document)
            self._known[recipe_id] = _KnownRecipe(used, row.content)
        return self._known[recipe_id]


def _load(ids: array[int]) -> Iterator[_Stored]:
    rows = (
        Completion.objects.filter(_among("pk", ids))
        .order_by()
        .annotate(
            # A few words of the metadata, which may hold a megabyte.
            license=Left(Coalesce(*map(_told, _LICENSE_KEYS)), _LICENSE_CHARACTERS),
            # As text: the standard library's JSON, which models use, is six times as slow.
            parsed=Cast("fields", TextField()),
            edited=Cast("label__decision__fields", TextField()),
        )
    )
    return map(_Stored._make, rows.values_list(*_COLUMNS).iterator(chunk_size=_BATCH))


def _among(column: str, ids: array[int]) -> Func:
    """`column = ANY(ids)`: one parameter, where `IN` makes a thousand that are looked at one by one."""
    given = Value(ids.tolist(), output_field=ArrayField(BigIntegerField()))
    return Func(
        F(column),
        given,
        template="(%(expressions)s))",
        arg_joiner=" = ANY(",
        output_field=BooleanField(),
    )


def _told(key: str) -> NullIf:
    return NullIf(Trim(KeyTextTransform(key, "sample__metadata")), Value("", TextField()))


def _costs(found: dict[int, _Stored]) -> dict[int | None, int | None]:
    """What each call's accepted reply cost, in 1e-9 USD; None where that is not known."""
    calls = array("q", {one.call_id for one in found.values() if one.call_id})
    accepted = Reply.objects.filter(_among("call", calls), outcome=Reply.ACCEPTED)
    return dict(accepted.values_list("call", "cost_nano"))


def _judgements(ids: array[int]) -> dict[int, list[tuple[str, str, str, dict[str, float]]]]:
    """The valid ones of each completion (judge, teacher, rubric version, scores), in an order that
    no database decides.
    """
    rows = Judgement.objects.filter(_among("completion", ids)).exclude(scores={}).order_by()
    found = defaultdict(list)
    told = rows.annotate(told=Cast("scores", TextField()))
    for pk, judge, teacher, version, scores in told.values_list(
        "completion", "judge", "teacher", "rubric_version", "told"
    ):
        found[pk].append((judge, teacher, version, orjson.loads(scores)))
    for judgements in found.values():
        judgements.sort(key=str)
    return found


def _question(recipe: Recipe, one: _Stored) -> tuple[Message, ...]:
    sample = SampleText(
        id=one.pk,
        key=one.sample_key,
        text=one.sample_text,
        template_name=one.sample_template,
        domain=one.domain,
        instruction=one.instruction,
        title=one.title,
    )
    try:
        return first_messages(recipe, sample)
    except InputError:
        # An imported sample may name a template of its own: its instruction is the question.
        return (Message("user", f"{one.instruction}\n\n{one.sample_text}".strip()),)


def _answer(recipe: Recipe, one: _Stored, fields: dict[str, str]) -> Message:
    template = recipe.templates.get(one.template_name)
    text = write_reply(template, fields) if template and fields else ""
    return Message("assistant", text or one.text)
