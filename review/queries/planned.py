"""Which slots a queue shall have: for each completion how many, and what comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    Expression,
    FloatField,
    IntegerField,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat

from distill.logic.reasons import Reason
from distill.models import CompletionState
from review.logic.priority import CAUSES, MUST_LOOK, NEAR, Why
from review.models import Gold, Queue
from review.queries.matching import (
    COMPARISONS,
    READABLE,
    UNREADABLE,
    Hash,
    is_near,
    min_mean_of,
    overlap_hash,
    parts_of,
    percentile,
    queue_filter,
    samples_that_fit,
)

MOST_REVIEWS = 5
"""More people seldom look at one completion, and each of them costs a review."""

COLUMNS = (
    "completion_id",
    "rival_id",
    "num_slots",
    "required_reviews",
    "priority",
    "why",
    "is_random",
)
"""What `planned_slots` says of each completion."""

# Of a sample's completions each with the next; of a single one that was generated again, the
# attempt before it with this one. So the newer of the two is always the rival, and nobody has two
# rivals of which it is the elder.
_PAIRS = """
SELECT * FROM (
  SELECT COALESCE(earlier.id, lined.completion_id) AS completion_id,
    CASE WHEN earlier.id IS NULL THEN lined.next_id ELSE lined.completion_id END AS rival_id,
    num_slots, required_reviews, priority, why, is_random
  FROM (
    SELECT fitting.*, lead(completion_id) OVER by_id AS next_id,
      count(*) OVER (PARTITION BY sample_id) AS num_beside
    FROM ({fitting}) AS fitting (
      completion_id, num_slots, required_reviews, priority, why, is_random,
      sample_id, draw, attempt
    )
    WINDOW by_id AS (PARTITION BY sample_id ORDER BY completion_id)
  ) AS lined
  LEFT JOIN LATERAL (
    SELECT before.id FROM distill_completion AS before
    JOIN distill_completionstate AS state ON state.completion_id = before.id
    WHERE before.sample_id = lined.sample_id AND before.draw = lined.draw
      AND before.attempt = lined.attempt - 1 AND before.id < lined.completion_id
      AND state.state IN ('passed', 'rejected') AND NOT state.reasons && %s::varchar[]
    ORDER BY before.id DESC LIMIT 1
  ) AS earlier ON lined.num_beside = 1 AND lined.attempt > 1
  WHERE lined.next_id IS NOT NULL OR earlier.id IS NOT NULL
) AS pair
WHERE pair.required_reviews > (
  SELECT count(*) FROM distill_decision AS decision
  WHERE decision.completion_id = pair.completion_id AND decision.rival_id = pair.rival_id
    AND decision.kind = ANY (%s)
    AND NOT EXISTS (SELECT FROM distill_decision AS undo WHERE undo.undoes_id = decision.id)
)
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A question to the database and its values; it gives the `COLUMNS`, some rows twice."""

    sql: str
    params: Sequence[Any]

    @property
    def table(self) -> str:
        """As a further statement reads from it."""
        return f"({self.sql}) AS planned ({', '.join(COLUMNS)})"


def planned_slots(queue: Queue) -> Planned:
    """What belongs into the queue now."""
    if queue.mode == queue.Mode.PAIRWISE:
        return _pairs(queue)
    gold = _gold_of(queue)
    described = _columns(queue, gold=gold)
    no_rival = Cast(Value(None), BigIntegerField())
    parts = [
        part.alias(**_chances(queue))
        .annotate(rival=no_rival, **described)
        .values_list("completion_id", "rival", *COLUMNS[2:])
        .query.sql_with_params()
        for part in (*parts_of(queue), *_gold_part(gold))
    ]
    return Planned(
        " UNION ALL ".join(f"({sql})" for sql, _ in parts),
        [value for _, params in parts for value in params],
    )


def _pairs(queue: Queue) -> Planned:
    fitting = samples_that_fit(queue_filter(queue), dataset_id=queue.dataset_id)
    columns = ("completion__sample", "completion__draw", "completion__attempt")
    sql, params = (
        fitting.alias(**_chances(queue))
        .annotate(**_columns(queue, gold=()))
        .values_list("completion_id", *COLUMNS[2:], *columns)
        .query.sql_with_params()
    )
    kinds = [kind.value for kind in COMPARISONS]
    return Planned(_PAIRS.format(fitting=sql), [*params, list(UNREADABLE), kinds])


def _gold_of(queue: Queue) -> list[int]:
    gold = Gold.objects.filter(queue=queue).order_by("completion")
    return list(gold.values_list("completion", flat=True))


def _gold_part(gold: Sequence[int]) -> list[QuerySet[CompletionState]]:
    """Gold belongs there whatever is known of it, as long as it can be read."""
    readable = CompletionState.objects.filter(pk__in=gold, is_open=True, state__in=READABLE)
    return [readable.order_by()] if gold else []


def _chances(queue: Queue) -> dict[str, Expression]:
    """Who gets all reviews, and who is of the random stream: chosen apart."""
    return {
        "overlap": overlap_hash(queue),
        "stream": percentile("completion__key", salt=f":random:{queue.pk}"),
    }


def _columns(queue: Queue, *, gold: Sequence[int]) -> dict[str, Expression]:
    """The columns of a slot; `review.logic.priority` says what the priorities mean."""
    several = When(overlap__lt=queue.overlap_share, then=queue.required_reviews)
    required = Case(several, default=1, output_field=IntegerField())
    is_gold = Q(pk__in=gold)
    is_random = Q(stream__lt=queue.random_share) | is_gold
    causes = _causes(min_mean_of(queue.dataset_id))
    weights = [Case(When(causes[one.code], then=one.weight), default=0) for one in CAUSES]
    named = [When(causes[one.code], then=Value(one.code)) for one in CAUSES]
    # A further salt: whoever is chosen by a small hash must not have a small priority for it.
    order = Hash(Concat("completion__key", Value(f":order:{queue.pk}")))
    return {
        "num_slots": Case(When(is_gold, then=MOST_REVIEWS), default=required),
        "required_reviews": required,
        "priority": Case(
            When(is_random, then=Cast(order, FloatField()) / Value(2.0**32)),
            default=Cast(sum(weights, start=Value(0)), FloatField()),
            output_field=FloatField(),
        ),
        "why": Case(
            When(is_random, then=Value("")), *named, default=Value(""), output_field=CharField()
        ),
        "is_random": Case(When(is_random, then=True), default=False, output_field=BooleanField()),
    }


def _causes(min_mean: float | None) -> dict[Why, Q]:
    return {
        "flagged": Q(flags__overlap=[flag.value for flag in MUST_LOOK]),
        "disagreed": Q(flags__contains=[Reason.JUDGES_DISAGREE.value]),
        "near_threshold": Q(flags__contains=[Reason.NEAR_THRESHOLD.value])
        | is_near(min_mean, within=NEAR),
        "regenerated": Q(completion__attempt__gt=1),
    }
