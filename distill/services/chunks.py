"""Chunks of a run: ranges of its sample × draws, each leased as a whole by one shift.

A chunk is open until all its sample × draws have come to rest. Whoever has room takes the first one
that nobody holds; a shift that ends, or is found dead, lets its chunks go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from distill.models import Chunk, Run, SampleDraw, Shift

CHUNK_ROWS = 500
_LEAST_ROWS = 8
_PARTS = 4
"""A small run is cut into so many chunks for each of its workers, so that all have something."""

_CLAIM = """
UPDATE distill_chunk SET shift_id = %(shift)s WHERE id = (
    SELECT id FROM distill_chunk WHERE run_id = %(run)s AND NOT is_done AND shift_id IS NULL
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, first_id, last_id
"""


def cut_chunks(*, run: Run, ids: Sequence[int]) -> None:
    """Make chunks of sample × draws that have just been written down; `ids` in ascending order."""
    size = max(_LEAST_ROWS, min(CHUNK_ROWS, math.ceil(len(ids) / (_PARTS * run.workers))))
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    Chunk.objects.bulk_create(Chunk(run=run, first_id=part[0], last_id=part[-1]) for part in parts)


def claim_chunk(*, shift: Shift) -> Chunk | None:
    """Take the run's first chunk that nobody holds; None where there is none now."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"run": shift.run_id, "shift": shift.id})
        row = cursor.fetchone()
    if row is None:
        return None
    return Chunk(id=row[0], run_id=shift.run_id, first_id=row[1], last_id=row[2], shift=shift)


def finish_chunk(*, chunk: Chunk) -> bool:
    """Close a chunk of which nothing is left to do; False where it is another's by now."""
    mine = Chunk.objects.filter(id=chunk.id, shift=chunk.shift_id, is_done=False)
    return bool(mine.update(is_done=True, shift=None))


def give_back_rest(*, chunk: Chunk, after_id: int) -> None:
    """Let others have what comes after `after_id`: it becomes a chunk of its own."""
    mine = Chunk.objects.filter(id=chunk.id, shift=chunk.shift_id, is_done=False)
    if after_id < chunk.first_id:
        mine.update(shift=None)
    elif after_id < chunk.last_id:
        with transaction.atomic():
            if mine.update(last_id=after_id):
                Chunk.objects.create(
                    run_id=chunk.run_id, first_id=after_id + 1, last_id=chunk.last_id
                )


def reopen_chunks(*, run: Run) -> int:
    """Open the chunks again in which something is pending: it has been taken up once more."""
    pending = SampleDraw.objects.filter(
        run=run,
        state=SampleDraw.State.PENDING,
        id__gte=OuterRef("first_id"),
        id__lte=OuterRef("last_id"),
    )
    return Chunk.objects.filter(Exists(pending), run=run, is_done=True).update(is_done=False)
