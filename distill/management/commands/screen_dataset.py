"""`manage.py screen_dataset`: what an export would leave out, without exporting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.management import stage
from distill.models import Export, Screening
from distill.queries.eligible import eligible_ids
from distill.queries.export_manifest import why_nothing
from distill.queries.screenings import count_reasons, findings_of
from distill.services.screen import screen

_SHOWN = 3
_SHOWN_WIDTH = 160


class Command(stage.StageCommand):
    help = """Search what an export would take for copies and held-out text, without exporting.

    manage.py screen_dataset demo --policy gate
    manage.py screen_dataset demo --against benchmark.jsonl --against exam.md

Training completions are held to the passages of the dataset's validation and test samples, to the
files in the data folder's decontamination/ (txt, md, jsonl, parquet) and to those named by --against:
13 words in common drop one, 8 are noted. Of near-copies (exact Jaccard of 5-word runs of 0.8 or more)
the best-scored is kept. The recipe of the dataset's newest run sets all of it, under `screening`.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dataset", metavar="DATASET", help="the dataset's name")
        parser.add_argument(
            "--policy",
            choices=Export.Policy.values,
            default=Export.Policy.REVIEWED,
            help="whose completions are searched, as to_sft takes them; default: %(default)s",
        )
        parser.add_argument(
            "--against",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="a file of held-out text (any that import_dataset reads); may be given again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = stage.find_dataset(options, self.stderr.write)
        policy = options["policy"]
        ids = eligible_ids(dataset=dataset, policy=policy)
        if not ids:
            raise InputError(why_nothing(dataset, policy=policy))
        screened = screen(dataset=dataset, policy=policy, ids=ids, against=options["against"])
        self._say(screened.screening)

    def _say(self, screening: Screening) -> None:
        counts = screening.counts
        self.stdout.write(f"{counts['searched']:>10,}  completions searched")
        for count in count_reasons(screening):
            label = count.reason.label
            if count.num_dropped:
                self.stdout.write(f"{count.num_dropped:>10,}  left out: {label}")
            if count.num_flagged:
                self.stdout.write(f"{count.num_flagged:>10,}  noted only: {label}")
        self.stdout.write(f"{counts['kept']:>10,}  kept")
        for count in count_reasons(screening):
            self._say_examples(screening, count.reason)

    def _say_examples(self, screening: Screening, reason: Reason) -> None:
        self.stdout.write(f"\n{reason.label}:")
        for finding in findings_of(screening, reason)[:_SHOWN]:
            if finding.other is None:
                beside = finding.held_out
            else:
                beside = f"{finding.other.key} (Jaccard {finding.similarity:.2f})"
            matched = finding.matched_text[:_SHOWN_WIDTH]
            self.stdout.write(f"  {finding.completion.key} ~ {beside}\n    {matched}")
