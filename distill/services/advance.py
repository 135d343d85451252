"""Take each sample × draw of a run one stage further, in batches: what a reply leads to.

    reply ─► completion ─► rules ─► judge ─► verdict ─► regenerate or rest

No stage waits for the others of its kind. Everything here runs in the writer's thread, after the
raw replies have been committed; all of it can be repeated and changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from django.db import connection, transaction
from django.db.models import BigIntegerField, F, Value
from django.db.models.functions import Coalesce

from distill.logic import gate, types
from distill.logic.completion_key import completion_key
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.reasons import Reason
from distill.logic.recipe import JudgeConfig
from distill.logic.regeneration import Objections, gather_objections, may_regenerate
from distill.logic.rubric import parse_judgement
from distill.logic.rules import apply_rules
from distill.logic.storable import storable
from distill.logic.templates import parse_reply
from distill.logic.types import Evidence, Scores
from distill.models import Completion, CompletionState, Judgement, Label, SampleDraw, Verdict
from distill.queries.rejected import rejections_of, still_rejected
from distill.queries.sent_messages import read_evidence
from distill.services.orders import (
    Answered,
    Job,
    Order,
    Work,
    judge_order,
    next_attempt,
    teacher_order,
    template_of,
    text_of,
)

_LOCK_ROOM = 0x6E65_7862
_FOLLOW_VERDICTS = """
UPDATE distill_completionstate AS state
SET state = CASE WHEN verdict.passed THEN 'passed' ELSE 'rejected' END,
    verdict_id = verdict.id, reasons = verdict.reasons, mean_score = verdict.mean_score
FROM distill_verdict AS verdict
WHERE verdict.id = ANY(%s) AND verdict.completion_id = state.completion_id
  AND (state.verdict_id IS NULL OR state.verdict_id < verdict.id)
"""


def begin(job: Job, rows: Iterable[SampleDraw]) -> list[Order]:
    """Return the first orders of fresh rows (sample and completion joined)."""
    works = [Work(row=row, sample=row.sample, completion=row.completion) for row in rows]
    works = _without_unknown_templates(job, works)
    if job.plan.asks:
        return [teacher_order(job, work) for work in works]
    with _in_turn(job):
        if job.plan.regenerates:
            return _regenerate(job, works)
        return _examine(job, works)


def take_replies(job: Job, answers: Sequence[Answered]) -> list[Order]:
    """Store what the replies say and return the orders that follow from them."""
    asked = [answer for answer in answers if answer.order.judge is None]
    judged = [(answer, answer.order.judge) for answer in answers if answer.order.judge]
    with _in_turn(job):
        orders = _examine(job, _store_completions(job, asked))
        return orders + _weigh(job, _store_judgements(job, judged))


def _regenerate(job: Job, works: Sequence[Work]) -> list[Order]:
    """Order another attempt of each; what nobody rejects any more rests, and keeps its place."""
    wanted = still_rejected([work.answer.id for work in works])
    _leave(job, [work for work in works if work.answer.id not in wanted])
    rejections = rejections_of(wanted)
    orders = []
    for work in works:
        if work.answer.id in wanted:
            evidence = read_evidence(work.row.verdict) if work.row.verdict else ()
            objections = gather_objections(evidence, rejections.get(work.answer.id, ()))
            orders.append(next_attempt(job, work, objections))
    return orders


def give_up(order: Order, error: TeacherError) -> None:
    """End the work whose order failed for good, visibly, with the kind and the last message."""
    _fail(order.work, error)


@contextmanager
def _in_turn(job: Job) -> Iterator[None]:
    """One transaction; those of other runs over the same dataset wait for it.

    They move the states of the same completions, each in an order of its own: without this they
    would lock each other out.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_ROOM, job.dataset_id % 2**31])
        yield


def _without_unknown_templates(job: Job, works: Sequence[Work]) -> list[Work]:
    known = []
    for work in works:
        name = _template_name(job, work)
        if name in job.recipe.templates:
            known.append(work)
        else:
            error = TeacherError(
                FailureKind.BAD_REQUEST, f"The recipe has no template named {name!r}."
            )
            _fail(work, error)
    return known


def _template_name(job: Job, work: Work) -> str:
    if work.completion and not job.plan.asks:
        return work.completion.template_name
    return work.sample.template_name or job.recipe.default_template


def _fail(work: Work, error: TeacherError) -> None:
    # A row that began with a completion keeps it: from there it is taken up again.
    latest = Value(work.completion.id if work.completion else None, BigIntegerField())
    SampleDraw.objects.filter(id=work.row.id, state=SampleDraw.State.PENDING).update(
        state=SampleDraw.State.FAILED,
        completion=Coalesce(F("completion"), latest),
        failure_kind=error.kind,
        failure_message=storable(str(error)),
    )


# --- from replies to completions and judgements --------------------------------------------------


def _store_completions(job: Job, answers: Sequence[Answered]) -> list[Work]:
    """Store each answer once and return its work with the stored completion."""
    drafts = [_draft(job, answer) for answer in answers]
    Completion.objects.bulk_create(
        sorted(drafts, key=lambda draft: (draft.sample_id, draft.key)), ignore_conflicts=True
    )
    stored = {
        (completion.sample_id, completion.key): completion
        for completion in Completion.objects.filter(
            sample__in={draft.sample_id for draft in drafts}, key__in={d.key for d in drafts}
        )
    }
    CompletionState.objects.bulk_create(
        [
            CompletionState(completion_id=completion.id, dataset_id=job.dataset_id)
            for completion in sorted(stored.values(), key=lambda completion: completion.id)
        ],
        ignore_conflicts=True,
    )
    for answer, draft in zip(answers, drafts, strict=True):
        answer.order.work.completion = stored[draft.sample_id, draft.key]
    return [answer.order.work for answer in answers]


def _draft(job: Job, answer: Answered) -> Completion:
    work, reply, request = answer.order.work, answer.reply, answer.order.wish.request
    template = template_of(job, work.sample)
    parent = work.completion
    attempt = parent.attempt + 1 if parent else 1
    text = storable(reply.text)
    return Completion(
        sample=work.sample,
        recipe_id=job.recipe_id,
        call_id=answer.call_id,
        parent=parent,
        key=completion_key(
            sample_key=work.sample.key,
            draw=work.row.draw,
            attempt=attempt,
            teacher=request.teacher,
            text=text,
        ),
        draw=work.row.draw,
        attempt=attempt,
        teacher=request.teacher,
        model=storable(reply.model, limit=200),
        template_name=template.name,
        text=text,
        fields=parse_reply(template, text, finish_reason=reply.finish_reason).fields,
        finish_reason=storable(reply.finish_reason, limit=40),
        prompt_tokens=reply.usage.prompt_tokens if reply.usage else None,
        completion_tokens=reply.usage.completion_tokens if reply.usage else None,
        latency_ms=reply.latency_ms,
    )


def _store_judgements(job: Job, answers: Sequence[tuple[Answered, JudgeConfig]]) -> list[Work]:
    """Store each opinion once and return the works that have heard all their judges."""
    rows = []
    for answer, judge in answers:
        opinion = parse_judgement(job.recipe.rubric, answer.reply.text, judge=judge.name)
        answer.order.work.opinions[judge.name] = opinion
        rows.append(_judgement(job, answer, judge, opinion))
    Judgement.objects.bulk_create(rows, ignore_conflicts=True)
    works = {id(answer.order.work): answer.order.work for answer, _ in answers}
    return [work for work in works.values() if len(work.opinions) == len(job.recipe.judges)]


def _judgement(
    job: Job, answer: Answered, judge: JudgeConfig, opinion: Scores | Evidence
) -> Judgement:
    row = Judgement(
        completion_id=answer.order.work.answer.id,
        call_id=answer.call_id,
        judge=judge.name,
        teacher=judge.teacher,
        rubric_version=job.recipe.rubric.version,
    )
    if isinstance(opinion, Evidence):
        row.error = opinion.detail
    else:
        row.scores, row.mean_score = dict(opinion.by_dimension), opinion.mean
        row.rationale, row.flags = opinion.rationale, list(opinion.flags)
    return row


# --- rules, judges, verdicts ----------------------------------------------------------------------


def _parse_evidence(job: Job, completion: Completion) -> tuple[Evidence, ...]:
    template = job.recipe.template_for(completion.template_name)
    return parse_reply(template, completion.text, finish_reason=completion.finish_reason).evidence


def _examine(job: Job, works: Sequence[Work]) -> list[Order]:
    """Run the rules over fresh completions; ask the judges for those that passed them."""
    if not job.plan.filters:
        return _rest(job, works, SampleDraw.State.ANSWERED)
    found = apply_rules([text_of(job, work) for work in works], job.recipe.rules)
    passed: list[Work] = []
    failed: list[Work] = []
    for work, rule_evidence in zip(works, found, strict=True):
        work.found = _parse_evidence(job, work.answer) + rule_evidence
        (failed if work.found else passed).append(work)
    _mark_filtered(passed)
    orders = _conclude(job, failed, judged=False)
    if not job.plan.judges:
        return orders + _rest(job, passed, SampleDraw.State.FILTERED)
    if not job.recipe.judges:
        return orders + _weigh(job, passed)
    return orders + [
        judge_order(job, work, judge) for work in passed for judge in job.recipe.judges
    ]


def _weigh(job: Job, works: Sequence[Work]) -> list[Order]:
    """Decide completions that all judges have answered for."""
    if not job.plan.decides:
        return _rest(job, works, SampleDraw.State.FILTERED)
    return _conclude(job, works, judged=bool(job.recipe.judges))


def _conclude(job: Job, works: Sequence[Work], *, judged: bool) -> list[Order]:
    """Store verdicts; what may try again is ordered again, the rest comes to rest."""
    verdicts = [_decide(job, work, judged=judged) for work in works]
    rows = _store_verdicts(job, works, verdicts)
    _mark_decided(rows.values())
    orders: list[Order] = []
    resting: list[Work] = []
    for work, verdict in zip(works, verdicts, strict=True):
        work.row.verdict = rows[work.answer.id]
        if job.plan.regenerates and may_regenerate(
            attempt=work.answer.attempt,
            max_attempts=job.recipe.regeneration.max_attempts,
            verdict=verdict,
        ):
            orders.append(next_attempt(job, work, Objections(verdict.evidence)))
        else:
            state = SampleDraw.State.PASSED if verdict.passed else SampleDraw.State.REJECTED
            work.row.state = state
            resting.append(work)
    _store_rest(resting)
    _open_only(job, _without_replaced(resting, refused=True))
    return orders


def _store_verdicts(
    job: Job, works: Sequence[Work], verdicts: Sequence[types.Verdict]
) -> dict[int, Verdict]:
    """Store each completion's verdict of this run once; return them by completion."""
    drafts = [
        _verdict_row(job, work, verdict) for work, verdict in zip(works, verdicts, strict=True)
    ]
    Verdict.objects.bulk_create(drafts, ignore_conflicts=True)
    completions = [draft.completion_id for draft in drafts]
    rows = Verdict.objects.filter(run=job.run_id, completion__in=completions)
    return {row.completion_id: row for row in rows}


def _decide(job: Job, work: Work, *, judged: bool) -> types.Verdict:
    parse = tuple(finding for finding in work.found if _is_of_form(finding))
    rules = tuple(finding for finding in work.found if not _is_of_form(finding))
    # In the recipe's order, not as they arrived: the next attempt's messages follow from it, and
    # with them its key.
    judges = [judge.name for judge in job.recipe.judges if judge.name in work.opinions]
    return gate.decide(
        parse_evidence=parse,
        rule_evidence=rules,
        judgements=[work.opinions[judge] for judge in judges],
        config=job.recipe.gate,
        judged=judged,
    )


def _is_of_form(finding: Evidence) -> bool:
    return finding.reason in (Reason.UNPARSEABLE, Reason.MISSING_FIELD, Reason.TRUNCATED)


def _verdict_row(job: Job, work: Work, verdict: types.Verdict) -> Verdict:
    return Verdict(
        completion_id=work.answer.id,
        recipe_id=job.recipe_id,
        run_id=job.run_id,
        passed=verdict.passed,
        stage=verdict.stage or "",
        reasons=list(verdict.reasons),
        evidence=[asdict(finding) for finding in verdict.evidence],
        mean_score=verdict.mean_score,
    )


# --- where things stand ---------------------------------------------------------------------------


def _mark_filtered(works: Sequence[Work]) -> None:
    CompletionState.objects.filter(
        completion__in=[work.completion for work in works], state=CompletionState.State.NEW
    ).update(state=CompletionState.State.FILTERED)


def _mark_decided(verdicts: Iterable[Verdict]) -> None:
    """Let each completion stand where its newest verdict puts it; an older one moves nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOW_VERDICTS, [[verdict.id for verdict in verdicts]])


def _rest(job: Job, works: Sequence[Work], state: SampleDraw.State) -> list[Order]:
    """Leave works undecided; those that a later attempt has replaced do not take its place."""
    for work in works:
        work.row.state = state
    _store_rest(works)
    _open_only(job, _without_replaced(works))
    return []


def _leave(job: Job, works: Sequence[Work]) -> None:
    """Leave works where their completions stand already."""
    rows = CompletionState.objects.in_bulk([work.answer.id for work in works])
    for state in CompletionState.State:
        is_new = state == CompletionState.State.NEW
        resting = SampleDraw.State.ANSWERED if is_new else SampleDraw.State(state.value)
        _rest(job, [work for work in works if rows[work.answer.id].state == state], resting)


def _without_replaced(works: Sequence[Work], *, refused: bool = False) -> list[Work]:
    """Without those that a later attempt has replaced; with `refused`, because people rejected them.

    The gate may take an earlier attempt back in its place, but never what people have refused.
    """
    children = Completion.objects.filter(parent__in=[work.answer for work in works])
    if refused:
        children = children.filter(parent__label__outcome=Label.Outcome.REJECTED)
    replaced = set(children.values_list("parent_id", flat=True))
    return [work for work in works if work.answer.id not in replaced]


def _store_rest(works: Sequence[Work]) -> None:
    """Move pending rows to where their work came to rest."""
    for work in works:
        work.row.completion = work.completion
    SampleDraw.objects.filter(state=SampleDraw.State.PENDING).bulk_update(
        [work.row for work in works], ["state", "completion", "verdict"]
    )


def _open_only(job: Job, works: Sequence[Work]) -> None:
    """Leave one attempt of each sample × draw open: the one that came to rest (invariant 5)."""
    if not job.plan.competes:
        return
    resting = [work.completion for work in works]
    for draw in {work.row.draw for work in works}:
        CompletionState.objects.filter(
            completion__sample__in=[work.sample for work in works if work.row.draw == draw],
            completion__draw=draw,
            is_open=True,
        ).exclude(completion__in=resting).update(is_open=False)
    CompletionState.objects.filter(completion__in=resting, is_open=False).update(is_open=True)
