"""Which completions belong into a queue: its filter in the words of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    Exists,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Concat, Mod

from distill.logic.gate import TOLERANCE
from distill.logic.reasons import Reason, Stage
from distill.models import CompletionState, Dataset, Decision, Run
from review.logic.queue_filter import QueueFilter
from review.models import Queue, Slot
from review.queries.counts import CAP

VERDICTS = Decision.VERDICTS
"""An edit accepts with the reviewer's own words."""
COMPARISONS = (Decision.Kind.PREFER, Decision.Kind.PREFER_RIVAL, Decision.Kind.TIE)
_GATED = (Run.Kind.PIPELINE, Run.Kind.GATE, Run.Kind.REEVALUATE, Run.Kind.REGENERATE)
UNREADABLE = tuple(reason.value for reason in Reason if reason.stage == Stage.PARSE)
"""Whoever was rejected for one of these has no parts that could be compared."""

_State = CompletionState.State
READABLE = (_State.PASSED, _State.REJECTED)
_STATES: dict[str, tuple[_State, ...]] = {
    "passed": (_State.PASSED,),
    "rejected": (_State.REJECTED,),
    "both": READABLE,
}


class Hash(Func):
    """A whole number below 2**32 from a text, evenly spread and the same on every machine."""

    template = "('x' || left(md5(%(expressions)s), 8))::bit(32)::bigint"
    output_field = BigIntegerField()


def percentile(key: str, *, salt: str = "") -> Mod:
    """0 to 99 by a hash of the key; another salt chooses independently of the first."""
    return Mod(Hash(Concat(key, Value(salt)) if salt else key), 100)


def completions_that_fit(wanted: QueueFilter, *, dataset_id: int) -> QuerySet[CompletionState]:
    """The open completions of the dataset that the filter takes, however often reviewed."""
    return _fitting(CompletionState.objects.all(), wanted, dataset_id, "completion__key")


def samples_that_fit(wanted: QueueFilter, *, dataset_id: int) -> QuerySet[CompletionState]:
    """The same where completions of one sample are compared: a share takes whole samples."""
    states = CompletionState.objects.exclude(reasons__overlap=UNREADABLE)
    return _fitting(states, wanted, dataset_id, "completion__sample__key")


def _fitting(
    states: QuerySet[CompletionState], wanted: QueueFilter, dataset_id: int, key: str
) -> QuerySet[CompletionState]:
    states = states.filter(dataset=dataset_id, is_open=True, state__in=_STATES[wanted.gate])
    if wanted.reasons:
        states = states.filter(reasons__overlap=[reason.value for reason in wanted.reasons])
    if wanted.score_min is not None:
        states = states.filter(mean_score__gte=wanted.score_min)
    if wanted.score_max is not None:
        states = states.filter(mean_score__lte=wanted.score_max)
    if wanted.near is not None:
        states = states.filter(is_near(min_mean_of(dataset_id), within=wanted.near))
    if wanted.domains:
        states = states.filter(completion__sample__domain__in=wanted.domains)
    if wanted.templates:
        states = states.filter(completion__template_name__in=wanted.templates)
    if wanted.attempts == "regenerated":
        states = states.filter(completion__attempt__gt=1)
    if wanted.flagged:
        states = states.exclude(flags=[])
    if wanted.share < 100:
        states = states.alias(percentile=percentile(key)).filter(percentile__lt=wanted.share)
    return states.order_by()


def is_near(min_mean: float | None, *, within: float) -> Q:
    """Whether the mean score is within that distance; never where no gate has looked."""
    if min_mean is None:
        return Q(Value(value=False, output_field=BooleanField()))
    within += TOLERANCE
    return Q(mean_score__gte=min_mean - within, mean_score__lte=min_mean + within)


def min_mean_of(dataset_id: int) -> float | None:
    """The lowest mean score that the gate of the dataset's latest run took; None without a run."""
    runs = Run.objects.filter(dataset=dataset_id, kind__in=_GATED).select_related("recipe")
    latest = runs.order_by("-id").first()
    return latest.recipe.content.gate.min_mean if latest else None


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
    return CompletionState.objects.filter(
        Exists(was_here),
        dataset=queue.dataset_id,
        is_open=True,
        state=_State.PASSED,
        completion__attempt__gt=1,
    ).order_by()


def queue_filter(queue: Queue) -> QueueFilter:
    """The queue's filter, as it was validated when it was stored."""
    return QueueFilter.model_validate(queue.filter)


def parts_of(queue: Queue) -> list[QuerySet[CompletionState]]:
    """All that belongs into the queue and lacks reviews, in parts that each are found by an index.

    They overlap.
    """
    wanted = queue_filter(queue)
    parts = [completions_that_fit(wanted, dataset_id=queue.dataset_id)]
    if not wanted.takes_all_passed:
        parts.append(later_attempts(queue))
    return [lacking for part in parts for lacking in _lacking_by_share(part, queue)]


def overlap_hash(queue: Queue) -> Mod:
    """0 to 99: below its share a completion gets all reviews of the queue."""
    return percentile("completion__key", salt=f":overlap:{queue.pk}")


def _lacking_by_share(
    part: QuerySet[CompletionState], queue: Queue
) -> Iterator[QuerySet[CompletionState]]:
    num, share = queue.required_reviews, queue.overlap_share
    if num == 1 or share == 100:
        yield lacking_reviews(part, num)
        return
    hashed = part.alias(overlap=overlap_hash(queue))
    yield lacking_reviews(hashed.filter(overlap__lt=share), num)
    yield lacking_reviews(hashed.filter(overlap__gte=share), 1)


def count_fitting(wanted: QueueFilter, *, dataset: Dataset, required_reviews: int) -> int:
    """How many completions the filter takes now; `CAP + 1` stands for more."""
    fitting = completions_that_fit(wanted, dataset_id=dataset.pk)
    return lacking_reviews(fitting, required_reviews)[: CAP + 1].count()


def lacking_reviews(
    states: QuerySet[CompletionState], required_reviews: int
) -> QuerySet[CompletionState]:
    """Nobody has decided it; or, where several reviews are wanted, fewer people than that.

    So what one person accepted elsewhere can be reviewed again where a second opinion is wanted,
    and the first one counts.
    """
    verdicts = _counted_verdicts(required_reviews).filter(completion=OuterRef("pk")).order_by()
    if required_reviews == 1:
        return states.filter(~Exists(verdicts))
    by_completion = verdicts.values("completion").annotate(num=Count("pk"))
    num_reviews = Coalesce(Subquery(by_completion.values("num")), 0)
    return states.alias(num_reviews=num_reviews).filter(num_reviews__lt=required_reviews)


def lacks_no_review(completion_id: int, *, required_reviews: int) -> bool:
    """Whether the completion has so many reviews."""
    verdicts = _counted_verdicts(required_reviews).filter(completion=completion_id)
    return verdicts.count() >= required_reviews


def lacks_no_comparison(slot: Slot) -> bool:
    """Whether so many people have compared the slot's two completions."""
    compared = standing(COMPARISONS).filter(completion=slot.completion_id, rival=slot.rival_id)
    return compared.count() >= slot.required_reviews


def _counted_verdicts(required_reviews: int) -> QuerySet[Decision]:
    """A legacy one saves the only review that is wanted; where people shall agree, it is none."""
    verdicts = standing_verdicts()
    return verdicts if required_reviews == 1 else verdicts.filter(is_legacy=False)


def standing_verdicts() -> QuerySet[Decision]:
    """What people accepted or rejected and did not take back."""
    return standing(VERDICTS)


def standing(kinds: Sequence[Decision.Kind]) -> QuerySet[Decision]:
    """Decisions of these kinds that nobody took back."""
    # Not `undone_by=None`: of that join the database expects a single row, and then compares every
    # completion with every decision.
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    return Decision.objects.filter(~Exists(undone), kind__in=kinds)
