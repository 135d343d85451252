"""`manage.py judge_pairs`: ask the judges for scores, without deciding anything."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from distill.management import stage
from distill.management.destination import add_destination, destination
from distill.management.paths import data_path
from distill.models import Run, SampleDraw
from distill.queries.progress import count_states
from distill.services.tables import write_outputs


class Command(stage.StageCommand):
    help = """Ask the recipe's judges to score completions that pass the rules.

The scores are stored for each dimension of the rubric; SampleGate (sample_gate) decides by them
later, at no further cost.

    manage.py judge_pairs --dataset demo
    manage.py judge_pairs --src filtered.parquet --dst judged.parquet
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("filtered", "teacher_filtered_v1.parquet"))
        add_destination(
            parser,
            "write scored ones here",
            default=data_path("filtered", "teacher_judged_v1.parquet"),
        )
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        recipe = stage.find_recipe(options, self.stderr.write)
        run = stage.start_or_continue(
            dataset=stage.find_dataset(options, self.stderr.write),
            recipe=recipe,
            kind=Run.Kind.JUDGE,
            options=options,
        )
        run = stage.work_off(run, label="Judging", faults=options["misbehave"])
        counts = count_states(run)
        if not counts:
            raise CommandError("There are no completions to judge: collect some first.")
        if dst:
            judged = [SampleDraw.State.FILTERED]
            num_rows = write_outputs(run=run, dst=dst, states=judged, flags=True)
            self.stdout.write(f"{num_rows} completions in {dst}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
