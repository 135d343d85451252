"""What a training can start from: the configs that come with the project, and earlier trainings."""

from __future__ import annotations

from pathlib import Path

import training
from distill.logic.document_yaml import write_yaml
from training.logic.spec import TrainSpec
from training.models import TrainingRun

FOLDER = Path(training.__file__).parent / "configs"
BASELINE = "baseline"
LIKE = "like-"
NUM_RECENT = 10


def shipped_configs() -> list[str]:
    """The names of the configs that come with the project, `baseline` first."""
    names = [path.stem for path in FOLDER.glob("*.yaml")]
    return sorted(names, key=lambda name: (name != BASELINE, name))


def list_configs() -> list[tuple[str, str]]:
    """Names and labels of what to choose from: shipped ones, then the newest trainings' specs."""
    recent = TrainingRun.objects.only("pk", "name").order_by("-pk")[:NUM_RECENT]
    return [
        *((name, f"{name}.yaml") for name in shipped_configs()),
        *((f"{LIKE}{run.pk}", f"Like training run {run.pk} ({run.name})") for run in recent),
    ]


def read_config(name: str) -> str | None:
    """The YAML of a config that `list_configs` names, or of any training run (`like-12`)."""
    if name in shipped_configs():
        return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    number = name.removeprefix(LIKE)
    if number == name or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    run = TrainingRun.objects.filter(pk=int(number)).first()
    return spec_yaml(run) if run else None


def spec_yaml(run: TrainingRun) -> str:
    """The spec of a training as it was, in the usual order; one that is no longer valid, too."""
    known = [name for name in TrainSpec.model_fields if name in run.spec]
    return write_yaml({name: run.spec[name] for name in dict.fromkeys([*known, *run.spec])})
