"""Keep what was said: completions, judgements and verdicts, each once, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from distill.logic import types
from distill.logic.completion_key import completion_key
from distill.logic.recipe import JudgeConfig
from distill.logic.rubric import parse_judgement, rubric_stamp
from distill.logic.storable import storable
from distill.logic.templates import parse_reply
from distill.logic.types import CompletionText, Evidence, Scores
from distill.models import Completion, CompletionState, Judgement, Verdict
from distill.services.orders import Answered, Job, Work, template_of
from distill.services.rows import Row, fetch, insert_rows

_COMPLETION = (
    *("sample_id", "key", "recipe_id", "call_id", "parent_id", "draw", "attempt", "origin"),
    *("teacher", "model", "template_name", "text", "reasoning", "fields", "finish_reason"),
    *("prompt_tokens", "completion_tokens", "latency_ms"),
)
_STATE = ("completion_id", "dataset_id", "state", "is_open", "reasons", "flags")
_JUDGEMENT = (
    *("completion_id", "call_id", "judge", "teacher", "rubric_version"),
    *("scores", "mean_score", "rationale", "flags", "error"),
)
_VERDICT = (
    *("completion_id", "recipe_id", "run_id", "passed", "stage"),
    *("reasons", "flags", "evidence", "scores", "gate_version", "mean_score"),
)
_IN_HAND = (
    *("id", "attempt", "template_name", "text", "fields", "finish_reason"),
    "completion_tokens",
)
_VERDICTS = """
SELECT id, completion_id FROM distill_verdict WHERE completion_id = ANY(%b) AND run_id = %b
"""

_Place = tuple[int, str]
"""A completion's sample and key: what makes it the same one."""


def keep_completions(job: Job, answers: Sequence[Answered]) -> list[Work]:
    """Store each answer once and return its work with the stored completion."""
    drafts = [_draft(job, answer) for answer in answers]
    stored = _store_drafts(job, drafts)
    for answer, draft in zip(answers, drafts, strict=True):
        answer.order.work.completion = stored[draft.place]
    return [answer.order.work for answer in answers]


def keep_judgements(job: Job, answers: Iterable[tuple[Answered, JudgeConfig]]) -> list[Work]:
    """Store each opinion once and return the works that wait for no other judge's."""
    rows: list[Row] = []
    works: dict[int, Work] = {}
    for answer, judge in answers:
        work = answer.order.work
        opinion = parse_judgement(job.recipe.rubric_of(judge), answer.reply.text, judge=judge.name)
        work.opinions[judge.name] = opinion
        works[id(work)] = work
        rows.append(_judgement(job, answer, judge, opinion))
    insert_rows(Judgement, _JUDGEMENT, rows)
    return [work for work in works.values() if work.asked <= work.opinions.keys()]


def keep_verdicts(job: Job, works: Sequence[Work], verdicts: Sequence[types.Verdict]) -> None:
    """Store each completion's verdict of this run once; name it in its work."""
    rows = [_verdict(job, work, verdict) for work, verdict in zip(works, verdicts, strict=True)]
    new = insert_rows(Verdict, _VERDICT, rows, returning=("id", "completion_id"))
    if len(new) < len(rows):
        new = fetch(_VERDICTS, [[work.answer.id for work in works], job.run_id])
    ids = {completion_id: verdict_id for verdict_id, completion_id in new}
    for work in works:
        work.verdict_id = ids[work.answer.id]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A completion that has no id yet, and the values of `_COMPLETION`."""

    place: _Place
    completion: CompletionText
    row: Row


def _draft(job: Job, answer: Answered) -> _Draft:
    work, reply, request = answer.order.work, answer.reply, answer.order.wish.request
    sample, parent, usage = work.sample, work.completion, answer.reply.usage
    template = template_of(job, sample)
    attempt = parent.attempt + 1 if parent else 1
    text, finish_reason = storable(reply.text), storable(reply.finish_reason, limit=40)
    fields = parse_reply(template, text, finish_reason=reply.finish_reason).fields
    key = completion_key(
        sample_key=sample.key,
        draw=work.draw,
        attempt=attempt,
        teacher=request.teacher,
        text=text,
    )
    row = (
        *(sample.id, key, job.recipe_id, answer.call_id, parent.id if parent else None),
        *(work.draw, attempt, Completion.Origin.GENERATED.value, request.teacher),
        *(storable(reply.model, limit=200), template.name, text, storable(reply.reasoning)),
        *(fields, finish_reason, usage.prompt_tokens if usage else None),
        *(usage.completion_tokens if usage else None, reply.latency_ms),
    )
    tokens = usage.completion_tokens if usage else None
    completion = CompletionText(0, attempt, template.name, text, fields, finish_reason, tokens)
    return _Draft((sample.id, key), completion, row)


def _store_drafts(job: Job, drafts: Sequence[_Draft]) -> dict[_Place, CompletionText]:
    rows = sorted((draft.row for draft in drafts), key=itemgetter(0, 1))
    new = {
        (sample_id, key): completion_id
        for completion_id, sample_id, key in insert_rows(
            Completion, _COMPLETION, rows, returning=("id", "sample_id", "key")
        )
    }
    state = (job.dataset_id, CompletionState.State.NEW.value, True, (), ())
    insert_rows(CompletionState, _STATE, [(one, *state) for one in new.values()])
    old = [draft.place for draft in drafts if draft.place not in new]
    return _read_completions(old) | {
        draft.place: replace(draft.completion, id=new[draft.place])
        for draft in drafts
        if draft.place in new
    }


def _read_completions(places: Sequence[_Place]) -> dict[_Place, CompletionText]:
    """Those that were stored before: by another run, or by this one before it was cut off."""
    if not places:
        return {}
    rows = Completion.objects.filter(
        sample__in=[sample_id for sample_id, _ in places], key__in=[key for _, key in places]
    ).values_list("sample_id", "key", *_IN_HAND)
    return {(sample_id, key): CompletionText(*row) for sample_id, key, *row in rows}


def _judgement(job: Job, answer: Answered, judge: JudgeConfig, opinion: Scores | Evidence) -> Row:
    of = (answer.order.work.answer.id, answer.call_id, judge.name, judge.teacher)
    version = rubric_stamp(job.recipe.rubric_of(judge), judge.role)
    if isinstance(opinion, Evidence):
        return (*of, version, {}, None, "", (), opinion.detail)
    scores = dict(opinion.by_dimension)
    return (*of, version, scores, opinion.mean, opinion.rationale, opinion.flags, "")


def _verdict(job: Job, work: Work, verdict: types.Verdict) -> Row:
    evidence = [
        {"reason": one.reason.value, "detail": one.detail, "start": one.start, "end": one.end}
        for one in (*verdict.evidence, *verdict.flags)
    ]
    flags = dict.fromkeys(flag.reason for flag in verdict.flags)
    return (
        *(work.answer.id, job.recipe_id, job.run_id, verdict.passed),
        *(verdict.stage.value if verdict.stage else "", verdict.reasons),
        *(list(flags), evidence, dict(verdict.scores), job.gate_version, verdict.mean_score),
    )
