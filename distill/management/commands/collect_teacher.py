"""`manage.py collect_teacher`: ask the teacher for one completion of each sample × draw."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from distill.management import stage
from distill.management.destination import add_destination, destination
from distill.management.paths import data_path
from distill.models import Run
from distill.queries.progress import count_states
from distill.services.tables import write_outputs


class Command(stage.StageCommand):
    help = """Ask a teacher for completions, and keep every reply.

By dataset:
    manage.py collect_teacher --dataset demo --teacher offline:extractive

In the guide's file form, from a Parquet (or JSONL, CSV, …) of inputs to a Parquet of outputs:
    manage.py collect_teacher --src in.parquet --dst out.parquet \\
        --teacher openrouter:gpt-4o --max-samples 6000

Teachers are named provider:model; their keys come from the environment (OPENAI_API_KEY,
OPENROUTER_API_KEY, …). A teacher that costs money needs --max-samples or --budget. Nothing is
bought twice: a second call continues the first, and equal requests are answered from the ledger.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("teacher_inputs", "teacher_inputs_v1.parquet"))
        add_destination(
            parser,
            "write the outputs here",
            default=data_path("teacher_outputs", "teacher_outputs_v1.parquet"),
        )
        parser.add_argument("--teacher", metavar="PROVIDER:MODEL", help="instead of the recipe's")
        parser.add_argument("--draws", type=int, metavar="N", help="answers wanted of each sample")
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        recipe = stage.find_recipe(options, self.stderr.write)
        run = stage.start_or_continue(
            dataset=stage.find_dataset(options, self.stderr.write),
            recipe=recipe,
            kind=Run.Kind.GENERATE,
            options=options,
        )
        run = stage.work_off(run, label="Collecting", faults=options["misbehave"])
        counts = count_states(run)
        if not counts.get("answered"):
            raise CommandError(f"Nothing was answered: {stage.in_words(counts)}.")
        if dst:
            self.stdout.write(f"{write_outputs(run=run, dst=dst)} completions in {dst}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
