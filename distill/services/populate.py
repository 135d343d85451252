"""Write down which sample × draws a run is about, in batches, each with its chunks.

Samples are immutable and taken by their ids, so a run that asks for first attempts is written down
while it goes on: a batch each turn. What other kinds start from moves while they work, so it is
written down whole before they begin.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from distill.logic.plans import PLANS
from distill.logic.reasons import Reason
from distill.models import CompletionState, Run, Sample
from distill.queries.rejected import rejected_states
from distill.services.chunks import cut_chunks

BATCH_ROWS = 1000
"""So many sample × draws are written down in a turn: some 25 ms, 50 at most."""
_WHOLE_BATCH = 5000
_LOCK_ROOM = 0x6E65_7863

_STARTS_FROM = {
    Run.Kind.FILTER: [CompletionState.State.NEW],
    Run.Kind.JUDGE: [CompletionState.State.NEW, CompletionState.State.FILTERED],
    Run.Kind.GATE: list(CompletionState.State),
    Run.Kind.REEVALUATE: list(CompletionState.State),
}
_WRITE_DRAWS = """
INSERT INTO distill_sampledraw (run_id, sample_id, draw, completion_id, verdict_id, state,
    failure_kind, failure_message, failure_attempts)
SELECT %(run)s, sample, draw, completion, verdict, 'pending', '', '', 0
FROM unnest(%(samples)s::bigint[], %(draws)s::smallint[], %(completions)s::bigint[],
    %(verdicts)s::bigint[]) WITH ORDINALITY AS one(sample, draw, completion, verdict, number)
ORDER BY number
ON CONFLICT (run_id, sample_id, draw) DO NOTHING RETURNING id
"""

_Draw = tuple[int, int, int | None, int | None]
"""Sample, draw, and with which completion and verdict it begins."""


class Populator:
    """Writes a run's sample × draws down, one batch at a call, one worker at a time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.is_done = run.is_populated
        self._last_sample: int | None = None

    def write_some(self, *, on_batch: Callable[[], object]) -> bool:
        """Write the next batch down, or, of other kinds than first attempts, everything.

        Return whether anything changed. Another worker may be at it: then nothing is done here.
        `on_batch` is called between the batches of a whole run.
        """
        if self.is_done:
            return False
        if PLANS[self._run.kind].asks:
            return self._write_batch()
        return self._write_whole(on_batch)

    def _write_batch(self) -> bool:
        with transaction.atomic():
            if not _try_lock(self._run, "pg_try_advisory_xact_lock"):
                return False
            if not self._look():
                return True
            draws = range(self._run.recipe.content.teacher.draws)
            wanted = max(1, BATCH_ROWS // len(draws))
            samples = list(self._samples().values_list("id", flat=True)[:wanted])
            _write(self._run, [(sample, draw, None, None) for sample in samples for draw in draws])
            self.is_done = len(samples) < wanted
            reached = samples[-1] if samples else self._run.populated_to
            Run.objects.filter(id=self._run.id).update(
                populated_to=reached, is_populated=self.is_done
            )
        return True

    def _look(self) -> bool:
        """Read how far others have come; False where they have come to the end."""
        self._run.refresh_from_db(fields=["populated_to", "is_populated"])
        self.is_done = self._run.is_populated
        return not self.is_done

    def _samples(self) -> QuerySet[Sample]:
        """The samples that are still to be written down."""
        of_dataset = Sample.objects.filter(dataset=self._run.dataset_id).order_by("id")
        rest = of_dataset.filter(id__gt=self._run.populated_to)
        if not self._run.sample_limit:
            return rest
        if self._last_sample is None:
            ids = of_dataset.values_list("id", flat=True)
            self._last_sample = ids[self._run.sample_limit - 1 : self._run.sample_limit].first()
        # Where there are not as many yet, all are taken.
        return rest if self._last_sample is None else rest.filter(id__lte=self._last_sample)

    def _write_whole(self, on_batch: Callable[[], object]) -> bool:
        with _locked(self._run) as is_mine:
            if not is_mine:
                return False
            if self._look():
                draws = _draws_of_completions(self._run)
                while batch := list(itertools.islice(draws, _WHOLE_BATCH)):
                    _write(self._run, batch)
                    on_batch()
                Run.objects.filter(id=self._run.id).update(is_populated=True)
                self._run.is_populated = self.is_done = True
        return True


def populate_run(*, run: Run, on_batch: Callable[[], object]) -> None:
    """Write everything down at once. `on_batch` is called between batches, to renew the lease."""
    populator = Populator(run)
    while not populator.is_done:
        populator.write_some(on_batch=on_batch)
        on_batch()


def _write(run: Run, draws: Sequence[_Draw]) -> None:
    """Insert sample × draws with their chunks; what is written down already stays as it is."""
    samples, numbers, completions, verdicts = ([draw[at] for draw in draws] for at in range(4))
    values: dict[str, Any] = {
        "run": run.id,
        "samples": samples,
        "draws": numbers,
        "completions": completions,
        "verdicts": verdicts,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_WRITE_DRAWS, values)
        cut_chunks(run=run, ids=sorted(row[0] for row in cursor.fetchall()))


def _try_lock(run: Run, function: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [_LOCK_ROOM, run.id % 2**31])
        return bool(cursor.fetchone()[0])


@contextmanager
def _locked(run: Run) -> Iterator[bool]:
    """Hold the run's lock over several transactions; the database frees it with the connection."""
    is_mine = _try_lock(run, "pg_try_advisory_lock")
    try:
        yield is_mine
    finally:
        if is_mine:
            _try_lock(run, "pg_advisory_unlock")


def _draws_of_completions(run: Run) -> Iterator[_Draw]:
    states = _states_to_start_from(run)
    # Ids alone: the cursor holds all of them before the first is read.
    found = states.order_by("completion").values_list(
        "completion__sample", "completion__draw", "completion", "verdict"
    )
    return iter(found[: run.sample_limit].iterator(_WHOLE_BATCH))


def _states_to_start_from(run: Run) -> QuerySet[CompletionState]:
    if run.kind == Run.Kind.REGENERATE:
        return rejected_states(
            dataset_id=run.dataset_id,
            config=run.recipe.content.regeneration,
            rejected_by=run.rejected_by,
            reasons=[Reason(code) for code in run.reasons],
        )
    return CompletionState.objects.filter(
        dataset=run.dataset_id, is_open=True, state__in=_STARTS_FROM[Run.Kind(run.kind)]
    )
