"""Take each sample × draw of a run one stage further, in batches: what a reply leads to.

    reply ─► completion ─► rules ─► judge ─► verdict ─► regenerate or rest

No stage waits for the others of its kind. Everything here runs in the writer's thread, after the
raw replies have been committed; all of it can be repeated and changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction

from distill.logic import gate, types
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.panel import judges_to_ask
from distill.logic.reasons import Reason
from distill.logic.recipe import JudgeConfig
from distill.logic.regeneration import Objections, gather_objections, may_regenerate
from distill.logic.rules import apply_rules
from distill.logic.templates import parse_reply
from distill.logic.types import CompletionText, Evidence
from distill.models import CompletionState, SampleDraw, Verdict
from distill.queries.opinions import stored_opinions
from distill.queries.rejected import rejections_of, still_rejected
from distill.queries.sent_messages import read_evidence
from distill.services.keep import keep_completions, keep_judgements, keep_verdicts
from distill.services.orders import (
    Answered,
    Job,
    Order,
    Work,
    judge_order,
    longer_order,
    next_attempt,
    rule_text,
    teacher_order,
)
from distill.services.rows import fetch
from distill.services.standing import (
    follow_verdicts,
    mark_filtered,
    open_only,
    store_failure,
    store_rest,
    without_replaced,
)

_LOCK_ROOM = 0x6E65_7862


def begin(job: Job, works: Sequence[Work]) -> list[Order]:
    """Return the first orders of works that `feed` has fetched."""
    works = _without_unknown_templates(job, works)
    if job.plan.asks:
        return [teacher_order(job, work) for work in works]
    with _in_turn(job):
        if job.plan.regenerates:
            return _regenerate(job, works)
        return _examine(job, works)


def take_replies(job: Job, answers: Sequence[Answered]) -> list[Order]:
    """Store what the replies say and return the orders that follow from them.

    Of a reply that reached its limit of tokens nothing is stored if it can be asked for longer.
    """
    orders: list[Order] = []
    asked: list[Answered] = []
    judged: list[tuple[Answered, JudgeConfig]] = []
    for answer in answers:
        longer = longer_order(job, answer.order) if answer.reply.is_cut_off else None
        if longer is not None:
            orders.append(longer)
        elif answer.order.judge is None:
            asked.append(answer)
        else:
            judged.append((answer, answer.order.judge))
    with _in_turn(job):
        orders += _examine(job, keep_completions(job, asked))
        return orders + _weigh(job, keep_judgements(job, judged))


def give_up(job: Job, order: Order, error: TeacherError, attempts: int) -> None:
    """End the work whose order failed for good, visibly: kind, last message, how often it was sent."""
    store_failure(order.work, error, attempts=attempts)


def _regenerate(job: Job, works: Sequence[Work]) -> list[Order]:
    """Order another attempt of each; what nobody rejects any more rests, and keeps its place."""
    wanted = still_rejected([work.answer.id for work in works])
    _leave(job, [work for work in works if work.answer.id not in wanted])
    rejections = rejections_of(wanted)
    verdicts = Verdict.objects.in_bulk([work.verdict_id for work in works if work.verdict_id])
    orders = []
    for work in works:
        if work.answer.id in wanted:
            evidence = read_evidence(verdicts[work.verdict_id]) if work.verdict_id else ()
            objections = gather_objections(evidence, rejections.get(work.answer.id, ()))
            orders.append(next_attempt(job, work, objections))
    return orders


@contextmanager
def _in_turn(job: Job) -> Iterator[None]:
    """One transaction; those of other runs over the same dataset wait for it.

    They move the states of the same completions, each in an order of its own: without this they
    would lock each other out.
    """
    lock = "SELECT pg_advisory_xact_lock(%b::integer, %b::integer)"
    with transaction.atomic(savepoint=False):
        fetch(lock, [_LOCK_ROOM, job.dataset_id % 2**31])
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
            store_failure(work, error, attempts=0)
    return known


def _template_name(job: Job, work: Work) -> str:
    if work.completion and not job.plan.asks:
        return work.completion.template_name
    return work.sample.template_name or job.recipe.default_template


# --- rules, judges, verdicts ----------------------------------------------------------------------


def _parse_evidence(job: Job, completion: CompletionText) -> tuple[Evidence, ...]:
    template = job.recipe.template_for(completion.template_name)
    return parse_reply(template, completion.text, finish_reason=completion.finish_reason).evidence


def _examine(job: Job, works: Sequence[Work]) -> list[Order]:
    """Run the rules over fresh completions; ask the judges for those that passed them."""
    if not works:
        return []
    if not job.plan.filters:
        return _rest(job, works, SampleDraw.State.ANSWERED)
    found = apply_rules([rule_text(job, work) for work in works], job.recipe.rules)
    for work, rule_evidence in zip(works, found, strict=True):
        work.found = _parse_evidence(job, work.answer) + rule_evidence
    if job.plan.judges and job.plan.decides and not job.recipe.judges:
        return _conclude(job, works, judged=False)
    passed = [work for work in works if not _is_rejected(work)]
    mark_filtered(passed)
    orders = _conclude(job, [work for work in works if _is_rejected(work)], judged=False)
    if job.plan.remembers:
        return orders + _remember(job, passed)
    if not job.plan.judges or not job.recipe.judges:
        return orders + _rest(job, passed, SampleDraw.State.FILTERED)
    return orders + [
        judge_order(job, work, judge)
        for work in passed
        for judge in judges_to_ask(job.recipe, work.opinions)
    ]


def _remember(job: Job, works: Sequence[Work]) -> list[Order]:
    """Decide by what the recipe's judges have said before; what they have not heard rests."""
    said = stored_opinions(job.recipe, [work.answer.id for work in works])
    for work in works:
        work.opinions.update(said.get(work.answer.id, {}))
    heard = [work for work in works if not judges_to_ask(job.recipe, work.opinions)]
    unheard = [work for work in works if judges_to_ask(job.recipe, work.opinions)]
    orders = _conclude(job, heard, judged=bool(job.recipe.judges))
    return orders + _rest(job, unheard, SampleDraw.State.FILTERED)


def _is_rejected(work: Work) -> bool:
    """A flag alone rejects nothing: what carries one is judged like any other."""
    return any(not finding.reason.is_flag for finding in work.found)


def _weigh(job: Job, works: Sequence[Work]) -> list[Order]:
    """Ask for second opinions where the first are near; decide what all judges have answered for."""
    orders: list[Order] = []
    heard = []
    for work in works:
        further = judges_to_ask(job.recipe, work.opinions)
        orders += [judge_order(job, work, judge) for judge in further]
        if not further:
            heard.append(work)
    if not job.plan.decides:
        return orders + _rest(job, heard, SampleDraw.State.FILTERED)
    return orders + _conclude(job, heard, judged=True)


def _conclude(job: Job, works: Sequence[Work], *, judged: bool) -> list[Order]:
    """Store verdicts; what may try again is ordered again, the rest comes to rest."""
    verdicts = [_decide(job, work, judged=judged) for work in works]
    keep_verdicts(job, works, verdicts)
    follow_verdicts(works)
    orders: list[Order] = []
    resting: list[tuple[Work, SampleDraw.State]] = []
    for work, verdict in zip(works, verdicts, strict=True):
        if job.plan.regenerates and may_regenerate(
            attempt=work.answer.attempt,
            max_attempts=job.recipe.regeneration.max_attempts,
            verdict=verdict,
        ):
            orders.append(next_attempt(job, work, Objections(verdict.evidence)))
        else:
            passed = verdict.passed
            resting.append((work, SampleDraw.State.PASSED if passed else SampleDraw.State.REJECTED))
    _store_rest(job, resting, refused=True)
    return orders


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


# --- coming to rest -------------------------------------------------------------------------------


def _rest(job: Job, works: Sequence[Work], state: SampleDraw.State) -> list[Order]:
    """Leave works undecided; those that a later attempt has replaced do not take its place."""
    _store_rest(job, [(work, state) for work in works], refused=False)
    return []


def _leave(job: Job, works: Sequence[Work]) -> None:
    """Leave works where their completions stand already."""
    rows = CompletionState.objects.in_bulk([work.answer.id for work in works])
    for state in CompletionState.State:
        is_new = state == CompletionState.State.NEW
        resting = SampleDraw.State.ANSWERED if is_new else SampleDraw.State(state.value)
        _rest(job, [work for work in works if rows[work.answer.id].state == state], resting)


def _store_rest(
    job: Job, resting: Sequence[tuple[Work, SampleDraw.State]], *, refused: bool
) -> None:
    store_rest(resting)
    if job.plan.competes:
        open_only(without_replaced([work for work, _ in resting], refused=refused))
