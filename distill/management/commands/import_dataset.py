"""`manage.py import_dataset`: files and folders into a dataset."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.errors import ConflictError, InputError
from distill.management.columns import (
    add_columns,
    mapping_from,
    say_mapping,
    say_refused,
    say_skipped,
)
from distill.management.progress import progress
from distill.management.stage import StageCommand
from distill.models import Dataset, SourceFile
from distill.services.delete_dataset import delete_dataset
from distill.services.ingest import (
    Problem,
    create_dataset,
    fill_source_file,
    open_source_file,
    preview_file,
)

_SHOWN_REFUSED = 10


class Command(StageCommand):
    help = """Import files into a dataset, which is made if there is none of that name.

Reads Parquet, JSONL, JSON, CSV and TSV, single texts, and folders of .txt and .md files (one
sample a file). Columns are guessed and can be named; what no field takes is kept as metadata:
    manage.py import_dataset papers.jsonl --dataset papers
    manage.py import_dataset papers.parquet --dataset papers --text-column abstract \\
        --domain-column field --source-column doi
    manage.py import_dataset notes/ --dataset notes --map domain==geology

A path reaches into a row: paper.title, authors.0, sections.text. Lists of sentences and sections
are joined. Look before you import, nothing is stored:
    manage.py import_dataset papers.jsonl --dataset papers --preview

Rows that cannot be used (no text, more than 1 MB of it, broken JSON, not UTF-8, …) are refused one
by one with their line and the reason; the others are kept. Rows whose content the dataset holds
already are skipped. A file that holds answers (teacher_output) brings them as completions.
An import that was interrupted goes on when it is started again. JSON is read whole, up to 256 MB;
every other kind is streamed.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("src", nargs="+", type=Path, metavar="FILE", help="a file or folder")
        parser.add_argument("--dataset", required=True, metavar="NAME", help="import into this one")
        parser.add_argument("--description", default="", help="of a new dataset, for its page")
        parser.add_argument("--preview", action="store_true", help="only show the first samples")
        add_columns(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        for src in options["src"]:
            if options["preview"]:
                self._preview(src, options)
            else:
                self._import(src, options)

    def _import(self, src: Path, options: dict[str, Any]) -> None:
        mapping = mapping_from(options, src)
        dataset = self._dataset(options)
        try:
            file = open_source_file(dataset=dataset, path=src, name=src.name, mapping=mapping)
        except InputError:
            _forget_empty(dataset)
            raise
        if file.state == SourceFile.State.DONE:
            self.stdout.write(f"{src.name} was imported into {dataset} before; nothing was added.")
            return
        say_mapping(mapping, self.stdout.write)
        say_skipped(src, self.stderr.write)
        with progress(None, f"Importing {src.name}") as bar:
            fill_source_file(
                source_file=file,
                path=src,
                on_progress=lambda file: bar.update(
                    file.rows_read,
                    kept=file.rows_kept,
                    duplicate=file.rows_duplicate,
                    refused=file.rows_refused,
                ),
            )
        self._say(dataset, file)

    def _dataset(self, options: dict[str, Any]) -> Dataset:
        try:
            return create_dataset(name=options["dataset"], description=options["description"])
        except ConflictError:
            return Dataset.objects.get(name=options["dataset"])

    def _say(self, dataset: Dataset, file: SourceFile) -> None:
        self.stdout.write(
            f"{dataset}: {file.rows_kept:,} of {file.rows_read:,} rows imported, "
            f"{file.rows_duplicate:,} duplicate, {file.rows_refused:,} refused."
        )
        if file.message:
            self.stdout.write(file.message)
        shown = islice(file.refused_rows.all(), _SHOWN_REFUSED)
        problems = (Problem(row.line, row.field, row.message) for row in shown)
        say_refused(file.name, problems, self.stderr.write)
        if file.rows_refused > _SHOWN_REFUSED:
            more = file.rows_refused - _SHOWN_REFUSED
            self.stderr.write(f"  and {more:,} more; the dataset's page lists them.")

    def _preview(self, src: Path, options: dict[str, Any]) -> None:
        preview = preview_file(src, src.name, mapping_from(options, src))
        say_mapping(preview.mapping, self.stdout.write)
        say_skipped(src, self.stderr.write)
        for number, draft in enumerate(preview.rows, 1):
            self.stdout.write(f"\nSample {number}: {draft.title or draft.source_key}")
            for name in ("domain", "template_name", "instruction", "text"):
                if value := getattr(draft, name):
                    self.stdout.write(f"  {name}: {value[:400]}{'…' if len(value) > 400 else ''}")
        say_refused(src.name, preview.problems, self.stderr.write)
        if not preview.can_import:
            raise InputError(f"{src.name}: no sample can be made of its first rows.")


def _forget_empty(dataset: Dataset) -> None:
    """A dataset made for a file that is none is not left behind."""
    if not dataset.source_files.exists():
        delete_dataset(dataset_id=dataset.pk)
