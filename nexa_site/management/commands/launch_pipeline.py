"""`manage.py launch_pipeline`: every stage that there is, from import to report card."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from distill import tasks
from distill.management import stage
from distill.management.paths import data_path, shown
from distill.models import Dataset, Export, Recipe, Run, Sample
from distill.queries.eligible import count_eligible
from distill.queries.progress import count_states
from distill.services.export import export_dataset
from distill.services.runs import MOST_WORKERS
from review.services.fill import fill_queues
from training.logic.spec import TrainSpec
from training.management.commands.train_student import read_spec
from training.models import TrainingRun
from training.services.start import with_whole_path

STAGES = ("review", "export", "train", "evaluate")


class Command(stage.StageCommand):
    help = """Take a dataset or a file through the whole pipeline, from import to report card.

Generate, rules, judge, gate and regenerate stream: no stage waits for the others. What passed the
gate awaits review. With --policy gate (or a recipe that says so) the rest follows at once: export,
a student trained on it, and its report card. With the policies reviewed and gold it ends while
people have accepted nothing yet; the same command goes on afterwards with what they accepted.

    manage.py launch_pipeline --dataset demo --policy gate
    manage.py launch_pipeline --src papers.jsonl --policy gate --until export
    manage.py launch_pipeline --dataset papers --teacher openai:gpt-4o-mini --budget 5
    manage.py launch_pipeline --dataset papers --background

In this process by default, without a worker; Ctrl-C stops it in order and the same command
continues it. With --background a worker of `make up` takes it as far as the export and the site
shows it; train and evaluate from there.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("teacher_inputs", "teacher_inputs_v1.parquet"))
        parser.add_argument("--teacher", metavar="PROVIDER:MODEL", help="instead of the recipe's")
        parser.add_argument("--draws", type=int, metavar="N", help="answers wanted of each sample")
        parser.add_argument(
            "--policy",
            choices=Export.Policy.values,
            help="what is exported (default: as the recipe says)",
        )
        parser.add_argument(
            "--until",
            choices=STAGES,
            default=STAGES[-1],
            help="the last stage to take (default: %(default)s)",
        )
        parser.add_argument(
            "--config", metavar="FILE", help="the training's spec, as for train_student"
        )
        parser.add_argument(
            "--held-out",
            type=int,
            metavar="N",
            default=50,
            help="so many held-out samples at most are answered for the report card "
            "(default: %(default)s)",
        )
        parser.add_argument("--background", action="store_true", help="let a worker do it")
        parser.add_argument(
            "--workers",
            type=int,
            choices=range(1, MOST_WORKERS + 1),
            metavar="N",
            default=1,
            help="with --background: let N workers share the run (default: %(default)s)",
        )
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        # A config that cannot be used is said before anything is asked.
        spec = read_spec(options["config"])
        recipe = stage.find_recipe(options, self.stderr.write)
        with self._timed("Import"):
            dataset = stage.find_dataset(options, self.stderr.write)
        if options["background"]:
            run = _start(dataset, recipe, options)
            tasks.enqueue_run(run.id)
            self.stdout.write(f"{run} is queued; the site shows it.")
            return
        self._generate(dataset, recipe, options)
        policy = options["policy"] or recipe.content.export.policy
        wanted = STAGES[: STAGES.index(options["until"]) + 1]
        if "export" in wanted and self._has_something(dataset, policy):
            self._finish(dataset, policy, wanted, spec, options)

    def _generate(self, dataset: Dataset, recipe: Recipe, options: dict[str, Any]) -> None:
        run = _finished_run(dataset, recipe, options)
        if run is not None:
            self.stderr.write(f"{run} has been over all of {dataset}; nothing is asked again.")
        else:
            run = _start(dataset, recipe, options)
            with self._timed("Pipeline"):
                run = stage.work_off(run, label="Pipeline", faults=options["misbehave"])
        counts = count_states(run)
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)
        if not counts.get("passed"):
            raise CommandError("Nothing passed the gate; the reasons stand above.")
        fill_queues(dataset_id=run.dataset_id)

    def _has_something(self, dataset: Dataset, policy: str) -> bool:
        if count_eligible(dataset=dataset, policy=policy):
            return True
        self.stdout.write(
            "What passed awaits review on the site. The same command goes on once people have "
            "accepted some; --policy gate does not wait for them."
        )
        return False

    def _finish(
        self,
        dataset: Dataset,
        policy: str,
        wanted: tuple[str, ...],
        spec: TrainSpec,
        options: dict[str, Any],
    ) -> None:
        """Export, train and evaluate, each by its command's own means."""
        with self._timed("Export"):
            export = export_dataset(dataset=dataset, policy=policy)
        folder = Path(settings.DATA_DIR, export.folder)
        rows = export.manifest["counts"]["total"]
        self.stdout.write(f"Exported {export} ({rows:,} rows) to {shown(folder)}")
        if "train" in wanted:
            with self._timed("Training"):
                self._call(
                    "train_student",
                    dataset=dataset.name,
                    export=export.version,
                    config=options["config"],
                )
        if "evaluate" in wanted:
            wanted_spec = with_whole_path(spec).model_dump(mode="json")
            student = TrainingRun.objects.filter(export=export, spec=wanted_spec).latest("id")
            with self._timed("Evaluation"):
                self._call("evaluate_student", run=student.pk, samples=options["held_out"])

    def _call(self, command: str, **options: Any) -> None:
        call_command(command, stdout=self.stdout, stderr=self.stderr, **options)

    @contextmanager
    def _timed(self, stage_name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.stderr.write(f"{stage_name}: {time.monotonic() - began:.1f} s")


def _start(dataset: Dataset, recipe: Recipe, options: dict[str, Any]) -> Run:
    return stage.start_or_continue(
        dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE, options=options
    )


def _finished_run(dataset: Dataset, recipe: Recipe, options: dict[str, Any]) -> Run | None:
    """The newest run of just this, if it is done and no sample has come since."""
    run = Run.objects.filter(
        dataset=dataset,
        recipe=recipe,
        kind=Run.Kind.PIPELINE,
        sample_limit=options["max_samples"],
    ).first()
    if run is None or run.state != Run.State.DONE:
        return None
    untaken = Sample.objects.filter(dataset=dataset).exclude(
        pk__in=run.sample_draws.values("sample")
    )
    return None if options["max_samples"] is None and untaken.exists() else run
