"""`manage.py filter_pairs`: the rules over stored completions."""

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
    help = """Run the rules over completions; what fails one keeps every reason. No model is asked.

By dataset (completions that were not looked at yet):
    manage.py filter_pairs --dataset demo

In the guide's file form; the output holds what passed, with its flags:
    manage.py filter_pairs --src teacher_outputs.parquet --dst filtered.parquet
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("teacher_outputs", "teacher_outputs_v1.parquet"))
        add_destination(
            parser,
            "write what passed here",
            default=data_path("filtered", "teacher_filtered_v1.parquet"),
        )
        stage.add_recipe(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        recipe = stage.find_recipe(options, self.stderr.write)
        run = stage.start_or_continue(
            dataset=stage.find_dataset(options, self.stderr.write),
            recipe=recipe,
            kind=Run.Kind.FILTER,
            options=options,
        )
        run = stage.work_off(run, label="Filtering")
        counts = count_states(run)
        if not counts:
            raise CommandError("There are no completions to filter: collect some first.")
        if dst:
            passed = [SampleDraw.State.FILTERED]
            num_rows = write_outputs(run=run, dst=dst, states=passed, flags=True)
            self.stdout.write(f"{num_rows} completions in {dst}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)
