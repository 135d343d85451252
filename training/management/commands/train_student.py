"""`manage.py train_student`: train a student, here and now, and show how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from pydantic import ValidationError

from distill.logic.errors import InputError
from distill.management import stage
from distill.management.paths import data_path, shown
from distill.management.progress import Bar, progress
from distill.models import Dataset, Export
from distill.services.export import export_dataset
from training.logic.spec import TrainSpec, load_spec
from training.models import TrainingRun
from training.queries.configs import BASELINE, read_config, shipped_configs
from training.services.find_same import find_same
from training.services.follow import ELSEWHERE, HELD, WAITING, Progress, follow_training
from training.services.resume import resume_training
from training.services.start import start_training
from training.services.start_process import command_owner
from training.services.stop import request_stop
from training.tasks import enqueue_training

WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Source:
    """What --dataset names: an export, or a file."""

    export: Export | None = None
    file: Path | None = None


class Command(stage.StageCommand):
    help = """Train a student on a dataset's export, or on a file of to_sft, and wait for it.

    manage.py train_student --dataset sft_scientific_v1.jsonl --config baseline.yaml --tags a b
    manage.py train_student --dataset demo --policy gate

It needs no worker: the training is a process that this command starts, shows and ends with. Ctrl-C
stops it in order, with a checkpoint; the same command goes on where it stopped, also after a kill.
In file form rows of split train are trained on, those of validation measured; test rows are left
out. With --background a worker of `make up` takes it and the site shows it.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dataset",
            metavar="FILE|NAME",
            default=str(data_path("sft_datasets", "sft_scientific_v1.jsonl")),
            help="a JSONL file that to_sft wrote, or a dataset's name (its newest export); "
            f"default: {shown(data_path('sft_datasets', 'sft_scientific_v1.jsonl'))}",
        )
        parser.add_argument(
            "--export", type=int, metavar="N", help="the dataset's export of this version"
        )
        parser.add_argument(
            "--policy",
            choices=Export.Policy.values,
            help="the dataset's newest export of this policy; made first where there is none",
        )
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="a YAML file with the training's spec, or the name of a shipped one (baseline); "
            "default: baseline",
        )
        parser.add_argument("--tags", nargs="+", metavar="TAG", help="further tags of the training")
        parser.add_argument(
            "--fresh", action="store_true", help="start anew, whatever was trained before"
        )
        parser.add_argument("--background", action="store_true", help="let a worker do it")

    def handle(self, *args: Any, **options: Any) -> None:
        spec = _with_tags(read_spec(options["config"]), options["tags"])
        source = _find_source(options, self.stderr.write)
        run = None if options["fresh"] else self._take_up(spec, source)
        run = run or start_training(spec=spec, export=source.export, file=source.file)
        if run.state == TrainingRun.State.DONE:
            self.stderr.write(f"{_name(run)} has trained just this; --fresh trains it anew.")
        elif options["background"]:
            enqueue_training(run.pk)
            self.stdout.write(f"{_name(run)} is queued; the site shows it.")
            return
        else:
            self._follow(run)
        self._say_result(run)

    def _take_up(self, spec: TrainSpec, source: _Source) -> TrainingRun | None:
        """The training of an earlier call with the same spec and the same rows, ready to go on."""
        run = find_same(spec=spec, export=source.export, file=source.file)
        if run is not None and resume_training(training_run_id=run.pk):
            self.stderr.write(f"{_name(run)} is resumed. {run.message}")
        return run

    def _follow(self, run: TrainingRun) -> None:
        with (
            stage.interruptible() as is_interrupted,
            progress(run.max_steps, f"Training {run.name}", done=run.step) as bar,
        ):
            shown_words = _Words(bar)

            def show(now: Progress) -> None:
                if is_interrupted():
                    request_stop(training_run_id=run.pk)
                shown_words.show(now)

            while _is_active(run):
                state = follow_training(
                    run.pk, seconds=float("inf"), owner=command_owner(), on_progress=show
                )
                if state in (HELD, WAITING, ELSEWHERE):
                    # A worker has it, here or elsewhere, or others use this host: what becomes of it is shown.
                    run.refresh_from_db()
                    show(Progress(run.state, run.step, run.max_steps, None, run.message))
                    time.sleep(WAIT_SECONDS)
        run.refresh_from_db()
        if run.state != TrainingRun.State.DONE:
            advice = "The same command goes on with it."
            raise CommandError(f"{_name(run)} {run.state}: {run.message}\n{advice}")

    def _say_result(self, run: TrainingRun) -> None:
        losses = [
            f"{name} loss {run.result[key]:.4f}"
            for name, key in (("training", "train_loss"), ("validation", "validation_loss"))
            if run.result.get(key) is not None
        ]
        model = Path(settings.DATA_DIR, run.folder, "model")
        self.stdout.write(f"{_name(run)}: {run.step:,} steps, {', '.join(losses)} (nats a token)")
        self.stdout.write(f"The student is in {shown(model)}")


def read_spec(config: str | None) -> TrainSpec:
    """The spec of a file, or of a shipped config by its name; without one the baseline.

    Raises InputError where it cannot be read or used, naming line and key.
    """
    path = Path(config or BASELINE)
    # A file of one's own goes before a shipped one of its name.
    text = None if path.is_file() else read_config(path.stem if path.name == str(path) else "")
    if text is None:
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            known = ", ".join(shipped_configs())
            raise InputError(f"{path} does not exist; configs that are shipped: {known}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read as a config: {error}") from error
    return load_spec(text)


def _with_tags(spec: TrainSpec, tags: list[str] | None) -> TrainSpec:
    """The spec with further tags, each once."""
    if not tags:
        return spec
    merged = list(dict.fromkeys((*spec.tags, *tags)))
    try:
        return TrainSpec.model_validate(spec.model_dump() | {"tags": merged})
    except ValidationError as error:
        raise InputError(
            f"--tags: {error.errors()[0]['msg']}. A tag has up to 50 letters, digits and . : + - _, "
            "and there are at most 20."
        ) from error


def _find_source(options: dict[str, Any], say: Callable[[str], object]) -> _Source:
    path = Path(options["dataset"])
    if path.suffix == ".jsonl" or path.is_file():
        if options["export"] is not None or options["policy"]:
            raise InputError("--export and --policy go with a dataset's name, not with a file.")
        return _Source(file=path)
    dataset = stage.find_dataset(options, say)
    exports = dataset.exports.select_related("dataset")
    if options["export"] is not None:
        exports = exports.filter(version=options["export"])
    if options["policy"]:
        exports = exports.filter(policy=options["policy"])
    if export := exports.first():
        return _Source(export=export)
    if options["policy"] and options["export"] is None:
        export = export_dataset(dataset=dataset, policy=options["policy"])
        say(f"Exported {export}.")
        return _Source(export=export)
    raise InputError(_no_export(dataset))


def _no_export(dataset: Dataset) -> str:
    made = ", ".join(f"{one.version} ({one.policy})" for one in dataset.exports.all()[:10])
    if made:
        return f"{dataset} has no such export; it has versions {made}."
    return (
        f"{dataset} has no export yet. Make one with to_sft --dataset {dataset.name}, or let "
        "--policy gate (or reviewed) make it here."
    )


class _Words:
    """Shows a training's progress, and says a new message once."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._said = bar, ""

    def show(self, now: Progress) -> None:
        if now.message and now.message != self._said and now.state in TrainingRun.ACTIVE:
            self._said = now.message
            self._bar.log(now.message)
        fields = {"loss": f"{now.loss:.4f}"} if now.loss is not None else {}
        words = {} if now.state == TrainingRun.State.RUNNING else {"state": now.state}
        self._bar.update(now.step, total=now.max_steps, **fields, **words)


def _name(run: TrainingRun) -> str:
    return str(run).capitalize()


def _is_active(run: TrainingRun) -> bool:
    return TrainingRun.objects.filter(pk=run.pk, state__in=TrainingRun.ACTIVE).exists()
