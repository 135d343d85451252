"""What a training can start from: the configs that come with the project, and earlier trainings."""

from __future__ import annotations

from pathlib import Path

import training
from training.logic.spec import TrainSpec, dump_spec
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
    return dump_spec(TrainSpec.model_validate(run.spec)) if run else None
