"""`manage.py regenerate_bad`: another attempt for what was rejected, told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from distill.management import stage
from distill.management.destination import add_destination, destination
from distill.management.paths import data_path, shown
from distill.models import Run
from distill.queries.progress import count_states
from distill.services.tables import write_outputs


class Command(stage.StageCommand):
    help = """Ask the teacher again for what the gate rejected.

The stricter prompt holds the rejected answer and every reason, and insists on falsifiability and
reproducibility. New attempts go through the same rules, judges and gate; their lineage is kept.

    manage.py regenerate_bad --dataset demo
    manage.py regenerate_bad --rejected rejections.parquet --dst regenerated.parquet
"""

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--dataset", metavar="NAME", help="work on this dataset")
        default = data_path("filtered", "rejections.parquet")
        source.add_argument(
            "--rejected",
            type=Path,
            dest="src",
            metavar="FILE",
            help=f"work on this file (default: {shown(default)})",
        )
        parser.set_defaults(default_src=default)
        add_destination(
            parser,
            "write the new attempts here",
            default=data_path("filtered", "teacher_regenerated_v1.parquet"),
        )
        parser.add_argument("--teacher", metavar="PROVIDER:MODEL", help="instead of the recipe's")
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        recipe = stage.find_recipe(options, self.stderr.write)
        dataset = stage.find_dataset(options, self.stderr.write)
        kinds = [Run.Kind.REGENERATE]
        if not options["dataset"]:
            # A file says that its answers were rejected; the gate says again why.
            kinds.insert(0, Run.Kind.GATE)
        for kind in kinds:
            run = stage.start_or_continue(
                dataset=dataset, recipe=recipe, kind=kind, options=options
            )
            run = stage.work_off(run, label=kind.label, faults=options["misbehave"])
        counts = count_states(run)
        if not counts:
            most = recipe.content.regeneration.max_attempts
            raise CommandError(
                f"There is nothing rejected to regenerate: {recipe} allows {most} attempts of each "
                "sample, the first included (regeneration.max_attempts)."
            )
        if dst:
            num_rows = write_outputs(run=run, dst=dst, flags=True)
            self.stdout.write(f"{num_rows} new attempts in {dst}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)
