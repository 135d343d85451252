"""The whole history of one sample × draw: every attempt, and what machines and people said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from distill.logic.errors import InputError
from distill.logic.marks import Mark, Piece, move_marks, split_marks
from distill.logic.recipe import default_recipe
from distill.logic.score_table import ScoreTable, score_table
from distill.logic.templates import Template, field_spans
from distill.logic.types import Evidence
from distill.models import (
    Completion,
    CompletionState,
    Decision,
    Export,
    ExportedCompletion,
    Judgement,
    Label,
    Purchase,
    Reply,
    Run,
    SampleDraw,
    Verdict,
)
from distill.queries.sent_messages import SentMessages, read_evidence, sent_messages

MAX_ATTEMPTS = 50
MAX_RAW_CHARS = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldText:
    """One field of an answer, in pieces: those that a rule found something in have notes."""

    name: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    """One purchase of a call and what came back. `fate`: a reply's outcome, or what is missing."""

    purchase: Purchase
    reply: Reply | None
    fate: str
    raw: str = ""

    @property
    def is_cut(self) -> bool:
        return len(self.raw) > MAX_RAW_CHARS

    @property
    def shown(self) -> str:
        return self.raw[:MAX_RAW_CHARS]


@dataclass(frozen=True, slots=True)
class JudgementStory:
    judgement: Judgement
    sendings: list[Sending]


@dataclass(frozen=True, slots=True)
class VerdictStory:
    """A verdict with what it rests on: reasons and flags, and scores beside its own thresholds."""

    verdict: Verdict
    evidence: tuple[Evidence, ...]
    scored: ScoreTable


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion with everything that is known of it."""

    completion: Completion
    state: CompletionState | None
    label: Label | None
    fields: list[FieldText]
    sent: SentMessages | None
    sendings: list[Sending]
    judgements: list[JudgementStory]
    verdicts: list[VerdictStory]
    decisions: list[Decision]
    exports: list[Export]


@dataclass(frozen=True, slots=True)
class History:
    """Attempts in the order in which they were made, and the runs that took the sample × draw."""

    attempts: list[Attempt] = field(default_factory=list)
    draws: list[SampleDraw] = field(default_factory=list)


def completion_history(completion: Completion, *, now: datetime) -> History:
    """Everything about the completion's sample × draw, in eight queries.

    The answer of a student or base stands alone: it is no attempt at the sample × draw.
    """
    found = Completion.objects.filter(sample=completion.sample_id, draw=completion.draw)
    if completion.origin == Completion.Origin.EVALUATED:
        found = found.filter(pk=completion.pk)
    else:
        found = found.exclude(origin=Completion.Origin.EVALUATED)
    completions = list(
        found.select_related(
            "sample", "recipe", "call", "parent", "state_row", "label__decision"
        ).order_by("attempt", "id")[:MAX_ATTEMPTS]
    )
    verdicts = _grouped(
        Verdict.objects.filter(completion__in=completions).select_related("recipe").order_by("id")
    )
    judgements = _grouped(Judgement.objects.filter(completion__in=completions).order_by("id"))
    decisions = _grouped(
        Decision.objects.filter(completion__in=completions)
        .select_related("reviewer")
        .order_by("id")
    )
    exported = _grouped(
        ExportedCompletion.objects.filter(completion__in=completions)
        .select_related("export__dataset")
        .order_by("id")
    )
    sendings = _sendings(completions, judgements, now)
    attempts = [
        Attempt(
            completion=one,
            state=getattr(one, "state_row", None),
            label=getattr(one, "label", None),
            fields=_field_texts(one, verdicts[one.pk]),
            sent=sent_messages(
                one,
                parent_verdicts=verdicts[one.parent_id or 0],
                parent_decisions=decisions[one.parent_id or 0],
            ),
            sendings=sendings[one.call_id or 0],
            judgements=[
                JudgementStory(judgement, sendings[judgement.call_id or 0])
                for judgement in judgements[one.pk]
            ],
            verdicts=[_verdict_story(verdict) for verdict in verdicts[one.pk]],
            decisions=decisions[one.pk],
            exports=[row.export for row in exported[one.pk]],
        )
        for one in completions
    ]
    return History(attempts, _draws(completion))


def _draws(completion: Completion) -> list[SampleDraw]:
    draws = SampleDraw.objects.filter(sample=completion.sample_id, draw=completion.draw)
    if completion.origin == Completion.Origin.EVALUATED:
        draws = draws.filter(completion=completion)
    else:
        draws = draws.exclude(run__kind=Run.Kind.EVALUATE)
    return list(draws.select_related("run__recipe").order_by("run")[:MAX_ATTEMPTS])


def _verdict_story(verdict: Verdict) -> VerdictStory:
    scored = score_table(verdict.scores, verdict.recipe.content.gate)
    return VerdictStory(verdict, read_evidence(verdict), scored)


class _Groups(Generic[T]):
    def __init__(self, rows: Iterable[tuple[int, T]]) -> None:
        self._rows: dict[int, list[T]] = defaultdict(list)
        for key, row in rows:
            self._rows[key].append(row)

    def __getitem__(self, key: int) -> list[T]:
        return self._rows.get(key, [])


def _grouped(rows: Iterable[T]) -> _Groups[T]:
    return _Groups((row.completion_id, row) for row in rows)  # type: ignore[attr-defined]


def _sendings(
    completions: Iterable[Completion], judgements: _Groups[Judgement], now: datetime
) -> _Groups[Sending]:
    calls = {completion.call_id for completion in completions}
    calls |= {one.call_id for completion in completions for one in judgements[completion.pk]}
    purchases = Purchase.objects.filter(call__in=calls - {None}).select_related("reply")
    return _Groups(
        (purchase.call_id, _sending(purchase, now))
        for purchase in purchases.order_by("call", "number")
    )


def _sending(purchase: Purchase, now: datetime) -> Sending:
    reply: Reply | None = getattr(purchase, "reply", None)
    if reply is None:
        fate = "possibly_billed" if purchase.expires_at <= now else "in_flight"
        return Sending(purchase, None, fate)
    return Sending(purchase, reply, reply.outcome, bytes(reply.raw).decode("utf-8", "replace"))


def _field_texts(completion: Completion, verdicts: list[Verdict]) -> list[FieldText]:
    """The answer's fields, each with the findings of the newest verdict marked in it."""
    marks = _marks(verdicts[-1]) if verdicts else ()
    template = _template(completion, verdicts)
    if template is None or not any(name in completion.fields for name in template.reply_fields):
        if not completion.fields:
            return [FieldText("answer", split_marks(completion.text, marks))]
        return [
            FieldText(name, split_marks(str(text), ())) for name, text in completion.fields.items()
        ]
    fields: Mapping[str, str] = completion.fields
    return [
        FieldText(name, split_marks(fields[name], move_marks(marks, by=start)))
        for name, (start, _end) in field_spans(template, fields).items()
    ]


def _marks(verdict: Verdict) -> tuple[Mark, ...]:
    return tuple(
        Mark(finding.start, finding.end, f"{finding.reason.label}: {finding.detail}")
        for finding in read_evidence(verdict)
        if finding.start is not None and finding.end is not None
    )


def _template(completion: Completion, verdicts: list[Verdict]) -> Template | None:
    recipe = verdicts[-1].recipe if verdicts else completion.recipe
    content = recipe.content if recipe else default_recipe()
    try:
        return content.template_for(completion.template_name)
    except InputError:
        return None
