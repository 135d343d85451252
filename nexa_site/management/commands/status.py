"""`manage.py status`: how much there is."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from distill.management.run_details import run_details
from distill.models import Run
from distill.queries.progress import live_progress
from nexa_site.queries import active_runs, status_counts

_MEANINGS = {
    "samples": "inputs imported, over all datasets",
    "completions": "answers of models, every attempt, imported ones included",
    "passed": "completions that passed the gate",
    "rejected": "completions that rules, judges or the gate rejected",
    "failed": "sample draws that got no answer, whatever was tried",
    "awaiting_review": "completions that passed and that nobody has decided yet",
    "labelled": "completions that people have decided",
    "exported": "completions that some export holds",
}


class Command(BaseCommand):
    help = """Say how much there is: samples, completions, what passed, what awaits review;
and how each run goes that is at work.

Reads the database only; it may be asked at any time. With --json it prints one object on one
line, for scripts:

    manage.py status
    manage.py status --json
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the line breaks of the help."""
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one object on one line")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = status_counts()
        if options["json"]:
            self.stdout.write(json.dumps(counts))
            return
        width = max(len(f"{count:,}") for count in counts.values())
        for name, count in counts.items():
            self.stdout.write(f"{name:<16} {count:>{width},}  {_MEANINGS[name]}")
        for row in active_runs():
            self._tell(row.run)

    def _tell(self, run: Run) -> None:
        progress = live_progress(run, now=timezone.now())
        done = f"{progress.finished:,} of {progress.total:,} finished"
        self.stdout.write(f"\n{run}, {run.state}: {done}")
        for line in run_details(run, progress):
            self.stdout.write(f"  {line}")
