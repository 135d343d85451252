"""Choose the samples that an evaluation asks about: held out, and nowhere in what was learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from distill.logic.errors import InputError
from distill.models import Dataset, Sample
from distill.services.files import plain_errors
from training.logic.layout import TrainingLayout
from training.models import TrainingRun

_SPLITS = (Sample.Split.TEST, Sample.Split.VALIDATION)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The samples in the order of their keys; `num_all` says how many their split has."""

    split: str = ""
    samples: tuple[Sample, ...] = ()
    num_all: int = 0


def choose_held_out(*, training_run: TrainingRun, limit: int) -> HeldOut:
    """The first `limit` held-out samples by key: a hash of the content, so an even choice.

    They are the dataset's, not the export's: those that the teacher failed at count too. Test
    samples are taken, where there are none validation samples; nothing without a dataset. Raises
    InputError where one of them, or a source of its group, was trained on (invariant 7).
    """
    dataset = training_run.dataset
    if dataset is None:
        return HeldOut()
    for split in _SPLITS:
        found = Sample.objects.filter(dataset=dataset, split=split)
        samples = tuple(found.order_by("key")[:limit])
        if samples:
            _refuse_learnt(training_run, dataset, samples)
            return HeldOut(split, samples, found.count())
    return HeldOut()


def training_layout(training_run: TrainingRun) -> TrainingLayout:
    """The folder of a training run on this host."""
    return TrainingLayout(Path(settings.DATA_DIR) / training_run.folder)


def held_out_rows(layout: TrainingLayout) -> tuple[str, Path] | None:
    """The split and file of the rows whose loss is measured: test, else validation, else none."""
    for split in _SPLITS:
        path = layout.rows(split)
        if path.is_file() and path.stat().st_size:
            return split.value, path
    return None


def _refuse_learnt(
    training_run: TrainingRun, dataset: Dataset, samples: tuple[Sample, ...]
) -> None:
    """Compare with the rows that were really trained on: splits alone prove nothing of a file."""
    groups = {sample.group_key: sample for sample in samples}
    kin = Sample.objects.filter(dataset=dataset, group_key__in=groups)
    by_key, by_source = {}, {}
    for key, source_key, group_key in kin.values_list("key", "source_key", "group_key"):
        by_key[key] = by_source[source_key] = groups[group_key]
    for row in _training_rows(training_run):
        key, source = str(row.get("sample_id")), str(row.get("source_id"))
        learnt = by_key.get(key) or by_source.get(source)
        if learnt is not None:
            raise InputError(
                f"Sample {learnt.key[:12]} of source “{learnt.source_key[:80]}” is held out in "
                f"{dataset.name}, and training run {training_run.pk} was trained on it or on a "
                "near-duplicate of its source: what it was shown cannot test it. Export the "
                "dataset again and train on that."
            )


def _training_rows(training_run: TrainingRun) -> Iterator[dict[str, Any]]:
    path = training_layout(training_run).rows("train")
    with plain_errors(path), path.open("rb") as file:
        for line in file:
            if line.strip():
                yield orjson.loads(line)
