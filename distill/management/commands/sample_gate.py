"""`manage.py sample_gate`: rules, judges and thresholds in one pass, to a verdict with reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from distill.management import stage
from distill.management.destination import add_destination, check_writable, destination
from distill.management.paths import data_path
from distill.models import Run, SampleDraw
from distill.queries.progress import count_states
from distill.services.tables import write_outputs, write_rejections


class Command(stage.StageCommand):
    help = """Decide which completions pass SampleGate, and say every reason why the others do not.

All open completions are decided under the recipe: rules first, then the judges' scores against its
thresholds. Scores that are in the ledger are not bought again, so other thresholds cost nothing.

    manage.py sample_gate --dataset demo --recipe stricter.yaml
    manage.py sample_gate --src filtered.parquet --dst passed.parquet \\
        --rejections rejections.parquet
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("teacher_outputs", "teacher_outputs_v1.parquet"))
        add_destination(
            parser, "write what passed here", default=data_path("filtered", "filtered_v1.parquet")
        )
        parser.add_argument(
            "--rejections",
            type=Path,
            metavar="FILE",
            help="write the rest, with reasons, here (default: rejections.parquet beside --dst)",
        )
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        rejections = options["rejections"] or (dst and dst.with_name("rejections.parquet"))
        if rejections:
            check_writable(rejections)
        recipe = stage.find_recipe(options, self.stderr.write)
        run = stage.start_or_continue(
            dataset=stage.find_dataset(options, self.stderr.write),
            recipe=recipe,
            kind=Run.Kind.GATE,
            options=options,
        )
        run = stage.work_off(run, label="Gating", faults=options["misbehave"])
        counts = count_states(run)
        if not counts:
            raise CommandError("There are no completions to decide: collect some first.")
        if dst:
            passed = [SampleDraw.State.PASSED]
            num_rows = write_outputs(run=run, dst=dst, states=passed, flags=True)
            self.stdout.write(f"{num_rows} passed, in {dst}")
        if rejections:
            num_rows = write_rejections(run=run, dst=rejections)
            self.stdout.write(f"{num_rows} rejected or failed, in {rejections}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)
