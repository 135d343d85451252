"""Which completions belong into a queue: its filter in the words of the database."""

from __future__ import annotations

from django.db.models import BigIntegerField, Count, Exists, Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Mod

from distill.models import CompletionState, Dataset, Decision
from review.logic.queue_filter import QueueFilter
from review.models import Queue, Slot
from review.queries.counts import CAP

VERDICTS = (Decision.Kind.ACCEPT, Decision.Kind.REJECT)

_State = CompletionState.State
_STATES: dict[str, tuple[_State, ...]] = {
    "passed": (_State.PASSED,),
    "rejected": (_State.REJECTED,),
    "both": (_State.PASSED, _State.REJECTED),
}


class _Hash(Func):
    """A whole number from a key, evenly spread and the same on every machine."""

    template = "('x' || left(md5(%(expressions)s), 8))::bit(32)::bigint"
    output_field = BigIntegerField()


def completions_that_fit(
    wanted: QueueFilter, *, dataset_id: int, required_reviews: int
) -> QuerySet[CompletionState]:
    """The open completions of the dataset that the filter takes and that lack reviews."""
    states = _lacking_reviews(required_reviews).filter(
        dataset=dataset_id,
        is_open=True,
        state__in=_STATES[wanted.gate],
    )
    if wanted.reasons:
        states = states.filter(reasons__overlap=[reason.value for reason in wanted.reasons])
    if wanted.score_min is not None:
        states = states.filter(mean_score__gte=wanted.score_min)
    if wanted.score_max is not None:
        states = states.filter(mean_score__lte=wanted.score_max)
    if wanted.domains:
        states = states.filter(completion__sample__domain__in=wanted.domains)
    if wanted.templates:
        states = states.filter(completion__template_name__in=wanted.templates)
    if wanted.attempts == "regenerated":
        states = states.filter(completion__attempt__gt=1)
    if wanted.flagged:
        states = states.exclude(flags=[])
    if wanted.share < 100:
        states = states.alias(percentile=Mod(_Hash("completion__key"), 100)).filter(
            percentile__lt=wanted.share
        )
    return states.order_by()


def later_attempts(queue: Queue) -> QuerySet[CompletionState]:
    """Open completions that passed, and whose earlier attempt has been in the queue.

    What comes back from a regeneration belongs where it was rejected, whatever the filter says of
    the new attempt (invariant 5).
    """
    was_here = Slot.objects.filter(
        queue=queue,
        completion__sample=OuterRef("completion__sample"),
        completion__draw=OuterRef("completion__draw"),
        completion__attempt__lt=OuterRef("completion__attempt"),
    )
    return (
        _lacking_reviews(queue.required_reviews)
        .filter(
            Exists(was_here),
            dataset=queue.dataset_id,
            is_open=True,
            state=_State.PASSED,
            completion__attempt__gt=1,
        )
        .order_by()
    )


def queue_filter(queue: Queue) -> QueueFilter:
    """The queue's filter, as it was validated when it was stored."""
    return QueueFilter.model_validate(queue.filter)


def parts_of(queue: Queue) -> list[QuerySet[CompletionState]]:
    """All that belongs into the queue, in parts that each are found by an index; they overlap."""
    wanted = queue_filter(queue)
    fitting = completions_that_fit(
        wanted, dataset_id=queue.dataset_id, required_reviews=queue.required_reviews
    )
    return [fitting] if wanted.takes_all_passed else [fitting, later_attempts(queue)]


def count_fitting(wanted: QueueFilter, *, dataset: Dataset, required_reviews: int) -> int:
    """How many completions the filter takes now; `CAP + 1` stands for more."""
    fitting = completions_that_fit(wanted, dataset_id=dataset.pk, required_reviews=required_reviews)
    return fitting[: CAP + 1].count()


def _lacking_reviews(required_reviews: int) -> QuerySet[CompletionState]:
    """Nobody has decided it; or, where several reviews are wanted, fewer people than that.

    So what one person accepted elsewhere can be reviewed again where a second opinion is wanted,
    and the first one counts.
    """
    verdicts = _counted_verdicts(required_reviews).filter(completion=OuterRef("pk")).order_by()
    if required_reviews == 1:
        return CompletionState.objects.filter(~Exists(verdicts))
    by_completion = verdicts.values("completion").annotate(num=Count("pk"))
    num_reviews = Coalesce(Subquery(by_completion.values("num")), 0)
    return CompletionState.objects.alias(num_reviews=num_reviews).filter(
        num_reviews__lt=required_reviews
    )


def lacks_no_review(completion_id: int, *, required_reviews: int) -> bool:
    """Whether the completion has so many reviews."""
    verdicts = _counted_verdicts(required_reviews).filter(completion=completion_id)
    return verdicts.count() >= required_reviews


def _counted_verdicts(required_reviews: int) -> QuerySet[Decision]:
    """A legacy one saves the only review that is wanted; where people shall agree, it is none."""
    verdicts = standing_verdicts()
    return verdicts if required_reviews == 1 else verdicts.filter(is_legacy=False)


def standing_verdicts() -> QuerySet[Decision]:
    """What people accepted or rejected and did not take back."""
    # Not `undone_by=None`: of that join the database expects a single row, and then compares every
    # completion with every decision.
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    return Decision.objects.filter(~Exists(undone), kind__in=VERDICTS)
