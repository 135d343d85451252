"""`manage.py prepare_inputs`: papers into the guide's table of teacher inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.templates import SHIPPED
from distill.management import stage
from distill.management.columns import (
    add_columns,
    mapping_from,
    say_mapping,
    say_refused,
    say_skipped,
)
from distill.management.destination import check_writable
from distill.management.paths import data_path, shown
from distill.management.progress import progress
from distill.services.ingest import prepare_inputs


class Command(stage.StageCommand):
    help = """Make the table of teacher inputs out of papers: the first file of the guide's pipeline.

    manage.py prepare_inputs --src papers.jsonl --text-column source --dst in.parquet
    manage.py prepare_inputs --src corpus/ --templates hypothesis,methodology

Reads what import_dataset reads, in the same way, and needs no dataset. For each sample and
template it writes a row with the guide's columns (domain, template_name, user_prompt, context,
template_prompt, system_prompt, source_file, generated_at) and ours (sample_id, source_id, split,
title). context is the passage, user_prompt what is asked about it: empty where the file asks
nothing, then the template alone asks.

The same source gives the same bytes: generated_at is the time of the source file.
"""
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        default = data_path("teacher_inputs", "teacher_inputs_v1.parquet")
        parser.add_argument("--src", type=Path, required=True, metavar="FILE", help="the papers")
        parser.add_argument(
            "--dst",
            type=Path,
            default=default,
            metavar="FILE",
            help=f"write the table here (default: {shown(default)})",
        )
        parser.add_argument(
            "--templates",
            default="",
            metavar="NAMES",
            help=f"one row for each of these, with commas: {', '.join(SHIPPED)} "
            "(default: what the file names, else pair)",
        )
        add_columns(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        src, dst = options["src"], options["dst"]
        check_writable(dst)
        mapping = mapping_from(options, src)
        say_mapping(mapping, self.stdout.write)
        say_skipped(src, self.stderr.write)
        with progress(None, f"Preparing {src.name}") as bar:
            prepared = prepare_inputs(
                src=src,
                dst=dst,
                mapping=mapping,
                templates=[name.strip() for name in options["templates"].split(",") if name],
                on_progress=lambda done: bar.update(done.num_read, refused=done.num_refused),
            )
        self.stdout.write(
            f"{prepared.num_written:,} rows in {shown(dst)} from {prepared.num_read:,}: "
            f"{prepared.num_duplicate:,} duplicate, {prepared.num_refused:,} refused."
        )
        say_refused(src.name, prepared.first_refused, self.stderr.write)
