"""Held-out text in what would be trained on: which completions share a run of words with it.

Held out are the passages of the dataset's validation and test samples, and whatever files the
operator gives. They are read twice: for the hashes of their runs, and for where a hit one stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from django.conf import settings

from distill.logic.contamination import (
    HeldOutRuns,
    Place,
    Suspect,
    common_words,
    find_suspects,
    locate,
)
from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.screening import Finding, ScreeningConfig
from distill.logic.shingles import Hashes
from distill.models import Dataset
from distill.queries.screenings import Ids, Ranked, held_out_passages, read_answers, read_prompts
from distill.services.ingest.readers import read_rows

FOLDER = "decontamination"
SUFFIXES = (".txt", ".md", ".jsonl", ".parquet")
_BATCH = 1_000
_NAME_CHARACTERS = 200


def held_out_files(against: Sequence[Path] = ()) -> list[Path]:
    """The files in the data folder's `decontamination`, and these. InputError where one is none."""
    folder = Path(settings.DATA_DIR, FOLDER)
    own = [path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES]
    for path in against:
        if not path.is_file():
            raise InputError(f"{path} is no file. Give the files to compare with one by one.")
    return sorted({*own, *against}, key=lambda path: (path.name, path))


def find_contaminated(
    *,
    dataset: Dataset,
    config: ScreeningConfig,
    files: Sequence[Path],
    ranked: Ranked,
) -> Iterator[Finding]:
    """One finding for each training completion that shares a run of words with held-out text.

    Raises InputError where a file cannot be read.
    """
    held_out = HeldOutRuns(config.flag_words)
    for texts, _names in _held_out(dataset, files):
        held_out.add(texts)
    suspects: list[tuple[int, int, Suspect]] = []
    for batch in _batches(np.flatnonzero(ranked.is_train)):
        for part, texts in enumerate(_both_texts(ranked, batch)):
            found = find_suspects(texts, held_out, drop_words=config.drop_words)
            suspects += [(int(batch[one.text]), part, one) for one in found]
    if suspects:
        yield from _proved(dataset, config, files, ranked, suspects)


def _proved(
    dataset: Dataset,
    config: ScreeningConfig,
    files: Sequence[Path],
    ranked: Ranked,
    suspects: list[tuple[int, int, Suspect]],
) -> Iterator[Finding]:
    """What the hashes found, shown by the words of both texts; the worst of each completion."""
    runs = _locate(dataset, files, (one.run for _, _, one in suspects), config.flag_words)
    longer_runs = (run for _, _, one in suspects for run in one.longer)
    longer = _locate(dataset, files, longer_runs, config.drop_words)
    worst: dict[int, tuple[bool, int, Place]] = {}
    for place, part, suspect in suspects:
        drops = [longer[run] for run in suspect.longer if run in longer]
        before = worst.get(place)
        if before is None or (drops and not before[0]):
            worst[place] = (bool(drops), part, drops[0] if drops else runs[suspect.run])
    for batch in _batches(np.array(sorted(worst), dtype=np.int64)):
        texts_by_part = _both_texts(ranked, batch)
        for number, place in enumerate(batch.tolist()):
            is_dropped, part, at = worst[place]
            matched, length = common_words(texts_by_part[part][number], at.words)
            if length >= config.flag_words:
                yield Finding(
                    place,
                    Reason.CONTAMINATED,
                    is_dropped=is_dropped and length >= config.drop_words,
                    held_out=at.held_out,
                    matched_text=matched,
                )


def _locate(
    dataset: Dataset, files: Sequence[Path], wanted: Iterable[int], size: int
) -> dict[int, Place]:
    """Where each of the runs stands first."""
    left: Hashes = np.array(sorted(set(wanted)), dtype=np.uint64)
    found: dict[int, Place] = {}
    for texts, names in _held_out(dataset, files):
        if not len(left):
            break
        new = dict(locate(texts, names, left, size))
        found |= new
        left = left[~np.isin(left, np.array(list(new), dtype=np.uint64))]
    return found


def _both_texts(ranked: Ranked, places: Ids) -> tuple[list[str], list[str]]:
    completions = ranked.completions[places].tolist()
    return [one.passage for one in read_prompts(completions)], read_answers(completions)


def _held_out(dataset: Dataset, files: Sequence[Path]) -> Iterator[tuple[list[str], list[str]]]:
    """All held-out texts with the names of where they are, in batches."""
    yield from held_out_passages(dataset)
    for file in files:
        texts = _file_texts(file)
        while batch := list(islice(texts, _BATCH)):
            yield batch, [file.name[:_NAME_CHARACTERS]] * len(batch)


def _file_texts(file: Path) -> Iterator[str]:
    for row in read_rows(file, file.name):
        if row.values is None:
            raise InputError(f"{file.name}, {row.line:,}: {row.problem} Repair or remove the file.")
        yield "\n".join(_strings(list(row.values.values())))


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list):
            waiting += reversed(one)


def _batches(places: Ids) -> Iterator[Ids]:
    for start in range(0, len(places), _BATCH):
        yield places[start : start + _BATCH]
