"""Where sample × draws and completions stand: the narrow rows that move, a batch at a time.

Every statement moves only what stands where it may be moved from (invariant 6).
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import BigIntegerField, F, Value
from django.db.models.functions import Coalesce

from distill.logic.errors import TeacherError
from distill.logic.storable import storable
from distill.models import SampleDraw
from distill.services.orders import Work
from distill.services.rows import change, fetch

_MARK_FILTERED = """
UPDATE distill_completionstate SET state = 'filtered'
WHERE completion_id = ANY(%b) AND state = 'new'
"""
_FOLLOW_VERDICTS = """
UPDATE distill_completionstate AS state
SET state = CASE WHEN verdict.passed THEN 'passed' ELSE 'rejected' END,
    verdict_id = verdict.id, reasons = verdict.reasons,
    flags = verdict.flags, mean_score = verdict.mean_score
FROM distill_verdict AS verdict
WHERE verdict.id = ANY(%b) AND verdict.completion_id = state.completion_id
  AND (state.verdict_id IS NULL OR state.verdict_id < verdict.id)
"""
_REST = """
UPDATE distill_sampledraw AS held
SET state = rest.state, completion_id = rest.completion_id, verdict_id = rest.verdict_id
FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::bigint[])
    AS rest (id, state, completion_id, verdict_id)
WHERE held.id = rest.id AND held.state = 'pending'
"""
_REPLACED = """
SELECT DISTINCT child.parent_id FROM distill_completion AS child
WHERE child.parent_id = ANY(%b) AND (NOT %b OR EXISTS (
    SELECT FROM distill_label AS label
    WHERE label.completion_id = child.parent_id AND label.outcome = 'rejected'))
"""
_OPEN_ONLY = """
UPDATE distill_completionstate AS state SET is_open = (state.completion_id = rest.completion_id)
FROM unnest(%b::bigint[], %b::smallint[], %b::bigint[])
    AS rest (sample_id, draw, completion_id)
JOIN distill_completion AS completion
    ON completion.sample_id = rest.sample_id AND completion.draw = rest.draw
WHERE state.completion_id = completion.id
  AND state.is_open <> (state.completion_id = rest.completion_id)
"""


def mark_filtered(works: Sequence[Work]) -> None:
    """Let fresh completions stand as having passed the rules."""
    if works:
        change(_MARK_FILTERED, [[work.answer.id for work in works]])


def follow_verdicts(works: Sequence[Work]) -> None:
    """Let each completion stand where its newest verdict puts it; an older one moves nothing."""
    if works:
        change(_FOLLOW_VERDICTS, [[work.verdict_id for work in works]])


def store_rest(resting: Sequence[tuple[Work, SampleDraw.State]]) -> None:
    """Move pending sample × draws to where their work came to rest."""
    if resting:
        change(
            _REST,
            [
                [work.row_id for work, _ in resting],
                [state.value for _, state in resting],
                [work.answer.id for work, _ in resting],
                [work.verdict_id for work, _ in resting],
            ],
        )


def without_replaced(works: Sequence[Work], *, refused: bool = False) -> list[Work]:
    """Those that no later attempt has replaced; with `refused`, because people rejected them.

    The gate may take an earlier attempt back in its place, but never what people have refused.
    """
    if not works:
        return []
    found = fetch(_REPLACED, [[work.answer.id for work in works], refused])
    replaced = {parent_id for (parent_id,) in found}
    return [work for work in works if work.answer.id not in replaced]


def open_only(works: Sequence[Work]) -> None:
    """Leave one attempt of each sample × draw open: the one that came to rest (invariant 5)."""
    if works:
        change(
            _OPEN_ONLY,
            [
                [work.sample.id for work in works],
                [work.draw for work in works],
                [work.answer.id for work in works],
            ],
        )


def store_failure(work: Work, error: TeacherError, *, attempts: int) -> None:
    """End a sample × draw as failed, with the kind, the message and how often it was asked."""
    # A row that began with a completion keeps it: from there it is taken up again.
    latest = Value(work.completion.id if work.completion else None, BigIntegerField())
    SampleDraw.objects.filter(id=work.row_id, state=SampleDraw.State.PENDING).update(
        state=SampleDraw.State.FAILED,
        completion=Coalesce(F("completion"), latest),
        failure_kind=error.kind,
        failure_message=storable(str(error)),
        failure_attempts=attempts,
    )
