"""`manage.py launch_pipeline`: every stage that there is, streaming, from import to export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from distill import tasks
from distill.management import stage
from distill.management.paths import data_path, shown
from distill.models import Export, Run
from distill.queries.progress import count_states
from distill.services.export import export_dataset
from review.services.fill import fill_queues


class Command(stage.StageCommand):
    help = """Take a dataset or a file through the whole pipeline.

Generate, rules, judge, gate and regenerate stream: no stage waits for the others. What passed the
gate awaits review; with the recipe's export policy "gate", or --policy gate, the export is written
at once.

    manage.py launch_pipeline --dataset demo
    manage.py launch_pipeline --src papers.jsonl --policy gate
    manage.py launch_pipeline --dataset papers --teacher openai:gpt-4o-mini --budget 5
    manage.py launch_pipeline --dataset papers --background

In this process by default, without a worker; Ctrl-C stops it in order and the same command
continues it. With --background a worker of `make up` takes it and the site shows it.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("teacher_inputs", "teacher_inputs_v1.parquet"))
        parser.add_argument("--teacher", metavar="PROVIDER:MODEL", help="instead of the recipe's")
        parser.add_argument("--draws", type=int, metavar="N", help="answers wanted of each sample")
        parser.add_argument(
            "--policy",
            choices=Export.Policy.values,
            help="what is exported at the end (default: as the recipe says)",
        )
        parser.add_argument("--background", action="store_true", help="let a worker do it")
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        recipe = stage.find_recipe(options, self.stderr.write)
        run = stage.start_or_continue(
            dataset=stage.find_dataset(options, self.stderr.write),
            recipe=recipe,
            kind=Run.Kind.PIPELINE,
            options=options,
        )
        if options["background"]:
            tasks.enqueue_run(run.id)
            self.stdout.write(f"{run} is queued; the site shows it.")
            return
        run = stage.work_off(run, label="Pipeline", faults=options["misbehave"])
        counts = count_states(run)
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)
        if not counts.get("passed"):
            raise CommandError("Nothing passed the gate; the reasons stand above.")
        fill_queues(dataset_id=run.dataset_id)
        self._export(run, options["policy"] or recipe.content.export.policy)

    def _export(self, run: Run, policy: str) -> None:
        if policy != Export.Policy.GATE:
            self.stdout.write("What passed awaits review on the site; export it afterwards.")
            return
        export = export_dataset(dataset=run.dataset, policy=policy)
        folder = Path(settings.DATA_DIR, export.folder)
        self.stdout.write(f"Exported {export} to {shown(folder)}")
