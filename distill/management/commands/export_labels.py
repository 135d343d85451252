"""`manage.py export_labels`: what people decided, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.management import stage
from distill.management.paths import shown
from distill.models import Dataset
from distill.services.labels import export_labels, labels_folder


class Command(stage.StageCommand):
    help = """Write people's labels: accepted.jsonl, rejected.jsonl, and a file for each day (UTC).

Of all datasets into the guide's folder, or of one into a folder of its name there:
    manage.py export_labels
    manage.py export_labels --dataset demo
    manage.py export_labels --dataset demo --dst labels/

accepted.jsonl and rejected.jsonl hold the labels as they stand now, a line each; what a later
attempt has replaced is not in rejected.jsonl. The files by day hold every accept and reject that
stands. A line rebuilds its sample and completion, so that regenerate_bad --rejected and
import_labels need no second file; reviewers stand there under pseudonyms. The same decisions give
the same bytes.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", metavar="NAME", help="the labels of this dataset alone")
        parser.add_argument(
            "--dst",
            type=Path,
            metavar="FOLDER",
            help=f"write into this folder (default: {shown(labels_folder())})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset: Dataset | None = None
        if options["dataset"]:
            dataset = stage.find_dataset(options, self.stderr.write)
        for file in export_labels(dataset=dataset, folder=options["dst"]):
            self.stdout.write(f"{file.num_lines:>8,}  {shown(file.path)}")
