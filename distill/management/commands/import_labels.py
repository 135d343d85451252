"""`manage.py import_labels`: what people decided elsewhere, or on the old page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.errors import InputError
from distill.management import stage
from distill.management.labels import take_in_labels
from distill.services.ingest import dataset_for_file


class Command(stage.StageCommand):
    help = """Take in labels: lines that export_labels wrote, or those of the old page.

Ours are tied to the completions of a dataset by their ids; what it does not hold is made from the
lines themselves. Without --dataset they go into a dataset of their own:
    manage.py import_labels --labels accepted.jsonl --dataset demo
    manage.py import_labels --labels 2026-01-31.jsonl

The old six columns (index, task_type, context, teacher_output, action, timestamp) name rows of a
table by number, from 0; give that table too. They count as legacy (made with the judge in sight and
without a name, never gold), "regenerate" as a rejection, and of several labels of a row the last:
    manage.py import_labels --labels labels.jsonl --src filtered.parquet

Decisions are recorded once, under inactive accounts named after the pseudonyms. Lines that cannot
be used are refused one by one with number and reason; the others are kept.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--labels", type=Path, required=True, metavar="FILE", help="the label file (JSONL)"
        )
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--dataset", metavar="NAME", help="onto the completions of this dataset")
        where.add_argument(
            "--src", type=Path, metavar="FILE", help="the table whose rows the labels are of"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path, src = options["labels"], options["src"]
        for given in filter(None, (path, src)):
            if not given.exists():
                raise InputError(f"{given} does not exist.")
        if options["dataset"]:
            dataset = stage.find_dataset(options, self.stderr.write)
        else:
            dataset = dataset_for_file(src or path)
        take_in_labels(dataset, path, src=src, say=self.stdout.write, warn=self.stderr.write)
