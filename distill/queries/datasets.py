"""What the pages on datasets show.

Counts stop at `MAX_COUNTED`; distributions are measured on at most `MAX_MEASURED` samples, taken in
the order of their keys: hashes of the content, so an even choice that an index finds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Left, Length

from distill.models import CompletionState, Dataset, RefusedRow, Run, Sample, SourceFile

MAX_COUNTED = 100_000
MAX_MEASURED = 10_000
SEARCH_WINDOW = 10_000
"""So many samples are looked at for a search; the next page goes on behind them."""

SAMPLES_PER_PAGE = 20
SHOWN_TEXT = 3_000
_MAX_BARS = 12
_NUM_BINS = 24

_SUMMARIES = """
    SELECT ids.id,
        (SELECT count(*) FROM (
            SELECT FROM distill_sample WHERE dataset_id = ids.id LIMIT %(limit)s) found),
        (SELECT count(*) FROM (
            SELECT FROM distill_completionstate WHERE dataset_id = ids.id
            LIMIT %(limit)s) found),
        (SELECT count(*) FROM distill_run WHERE dataset_id = ids.id),
        greatest(
            (SELECT max(greatest(created_at, finished_at)) FROM distill_sourcefile
                WHERE dataset_id = ids.id),
            (SELECT max(greatest(created_at, finished_at)) FROM distill_run
                WHERE dataset_id = ids.id)
        )
    FROM unnest(%(ids)s::bigint[]) AS ids (id)
"""


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset of a list, and how much there is of it."""

    dataset: Dataset
    num_samples: int
    num_completions: int
    num_runs: int
    active_at: datetime
    is_importing: bool

    @property
    def samples(self) -> str:
        """The number as shown."""
        return _capped(self.num_samples)

    @property
    def completions(self) -> str:
        return _capped(self.num_completions)


@dataclass(frozen=True, slots=True)
class Measured:
    """How the samples of a dataset are spread, as the charts take it."""

    num_measured: int
    is_whole: bool
    lengths: list[tuple[float, float, int]]
    median_length: int
    domains: list[tuple[str, int, None]]
    templates: list[tuple[str, int, None]]
    splits: list[tuple[str, int, str, None]]


@dataclass(frozen=True, slots=True)
class SamplePage:
    """Some samples in the order of the file; `is_cut` says that a search may go on."""

    rows: Sequence[Sample]
    next: int | None
    is_first: bool
    is_cut: bool = False


def all_datasets() -> QuerySet[Dataset]:
    return Dataset.objects.select_related("created_by")


def summarise_datasets(datasets: Sequence[Dataset]) -> list[DatasetSummary]:
    """The counts of a page of datasets, in two queries."""
    ids = [dataset.pk for dataset in datasets]
    with connection.cursor() as cursor:
        cursor.execute(_SUMMARIES, {"ids": ids, "limit": MAX_COUNTED + 1})
        counts = {row[0]: row[1:] for row in cursor.fetchall()}
    importing = set(
        SourceFile.objects.filter(dataset__in=ids, state=SourceFile.State.IMPORTING).values_list(
            "dataset", flat=True
        )
    )
    return [_summary(dataset, counts[dataset.pk], importing) for dataset in datasets]


def summarise_dataset(dataset: Dataset) -> DatasetSummary:
    return summarise_datasets([dataset])[0]


def list_source_files(dataset: Dataset) -> QuerySet[SourceFile]:
    """The newest first; a dataset has few of them."""
    return SourceFile.objects.filter(dataset=dataset)[:50]


def count_rows(dataset: Dataset) -> dict[str, int]:
    """What became of the rows of all its files: kept, duplicate, refused."""
    sums = SourceFile.objects.filter(dataset=dataset).aggregate(
        kept=Sum("rows_kept", default=0),
        duplicate=Sum("rows_duplicate", default=0),
        refused=Sum("rows_refused", default=0),
    )
    return dict(sums)


def count_completions(dataset: Dataset) -> list[tuple[str, str, int]]:
    """State, its words, and how many completions are in it."""
    counts = dict(
        CompletionState.objects.filter(dataset=dataset)
        .order_by()
        .values_list("state")
        .annotate(count=Count("pk"))
    )
    return [
        (state.value, str(state.label), counts.get(state.value, 0))
        for state in CompletionState.State
    ]


def last_runs(dataset: Dataset) -> QuerySet[Run]:
    return Run.objects.filter(dataset=dataset).select_related("recipe")[:5]


def measure_dataset(dataset: Dataset) -> Measured:
    """Lengths, domains, templates and splits, in one query."""
    rows = list(
        Sample.objects.filter(dataset=dataset)
        .order_by("key")
        .values_list(Length("text"), "domain", "template_name", "split")[: MAX_MEASURED + 1]
    )
    is_whole = len(rows) <= MAX_MEASURED
    rows = rows[:MAX_MEASURED]
    lengths = sorted(int(row[0]) for row in rows)
    splits = Counter(row[3] for row in rows)
    tones = {"train": "ok", "validation": "warn", "test": "person"}
    return Measured(
        num_measured=len(rows),
        is_whole=is_whole,
        lengths=histogram(lengths),
        median_length=lengths[len(lengths) // 2] if lengths else 0,
        domains=_bars(row[1] or "no domain" for row in rows),
        templates=_bars(row[2] or "the recipe's default" for row in rows),
        splits=[(name, splits[name], tone, None) for name, tone in tones.items()],
    )


def histogram(lengths: Sequence[int]) -> list[tuple[float, float, int]]:
    """Bins of equal, round width; the last one takes the longest hundredth."""
    if not lengths:
        return []
    low, high, most = lengths[0], lengths[(len(lengths) - 1) * 99 // 100], lengths[-1]
    width = _round_width((high - low + 1) / _NUM_BINS)
    start = low // width * width
    num_bins = min(_NUM_BINS + 1, (high - start) // width + 1)
    counts = Counter(min((length - start) // width, num_bins - 1) for length in lengths)
    edges = [start + width * number for number in range(num_bins + 1)]
    edges[-1] = max(edges[-1], most)
    return [(edges[n], edges[n + 1], counts[n]) for n in range(num_bins)]


def find_samples(dataset: Dataset, *, text: str = "", after: int | None = None) -> SamplePage:
    """Samples after an id, those whose text or title holds `text` in any case."""
    found = Sample.objects.filter(dataset=dataset, pk__gt=after or 0).order_by("pk")
    end = None
    if text:
        end = _window_end(found)
        if end is not None:
            found = found.filter(pk__lte=end)
        found = found.filter(text__icontains=text) | found.filter(title__icontains=text)
    shown = found.defer("text", "metadata").annotate(
        excerpt=Left("text", SHOWN_TEXT), length=Length("text")
    )
    rows = list(shown[: SAMPLES_PER_PAGE + 1])
    if len(rows) > SAMPLES_PER_PAGE:
        rows = rows[:SAMPLES_PER_PAGE]
        return SamplePage(rows, rows[-1].pk, is_first=after is None)
    return SamplePage(rows, end, is_first=after is None, is_cut=end is not None)


def first_refused(source_file: SourceFile) -> QuerySet[RefusedRow]:
    return RefusedRow.objects.filter(source_file=source_file).order_by("pk")[:20]


def refused_cells(source_file: SourceFile) -> Iterator[tuple[str, str, str, str]]:
    """The refused rows that are kept, as a table."""
    yield "row", "field", "reason", "excerpt"
    for row in RefusedRow.objects.filter(source_file=source_file).order_by("pk").iterator():
        yield str(row.line), row.field, row.message, row.excerpt


def _summary(dataset: Dataset, counts: Sequence[Any], importing: set[int]) -> DatasetSummary:
    num_samples, num_completions, num_runs, active_at = counts
    return DatasetSummary(
        dataset=dataset,
        num_samples=num_samples,
        num_completions=num_completions,
        num_runs=num_runs,
        active_at=active_at or dataset.created_at,
        is_importing=dataset.pk in importing,
    )


def _window_end(found: QuerySet[Sample]) -> int | None:
    ids = found.values_list("pk", flat=True)[SEARCH_WINDOW - 1 : SEARCH_WINDOW]
    return next(iter(ids), None)


def _bars(labels: Iterable[str]) -> list[tuple[str, int, None]]:
    counted = Counter(labels).most_common()
    bars: list[tuple[str, int, None]] = [(name, count, None) for name, count in counted[:_MAX_BARS]]
    if rest := counted[_MAX_BARS:]:
        bars.append((f"{len(rest)} more", sum(count for _, count in rest), None))
    return bars


def _capped(count: int) -> str:
    return f"{MAX_COUNTED:,}+" if count > MAX_COUNTED else f"{count:,}"


def _round_width(width: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    scale = 10 ** math.floor(math.log10(max(width, 1)))
    return int(next(step * scale for step in (1, 2, 5, 10) if step * scale >= width))
