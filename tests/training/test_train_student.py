"""`train_student`: one real training from a file to a student, and the command around stand-ins."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from distill.models import CompletionState, Dataset, Export
from distill.services.export import export_dataset
from tests.builders import make_completion
from tests.training.following import fake_argv, starts_of, write_rows
from training import launcher
from training.models import TrainingRun
from training.queries.folders import layout_of
from training.services import follow
from training.services.stop import request_stop

pytestmark = pytest.mark.django_db
State = TrainingRun.State
CONFIG = """
name: smallest
student: tiny
tiny: {layers: 1, hidden: 32, heads: 2, vocab: 300}
max_length: 128
max_steps: 4
batch_size: 2
warmup_steps: 1
save_every: 2
device: cpu
tags: [first]
"""


@pytest.fixture
def fake(monkeypatch):
    """Stand-ins for the program: `fake(40, 0.05)`."""
    monkeypatch.setattr(follow, "STEP_SECONDS", 0.05)

    def use(*arguments: Any) -> None:
        monkeypatch.setattr(follow, "trainer_argv", fake_argv(*arguments))

    use()
    yield use
    for run in TrainingRun.objects.all():
        launcher.kill(layout_of(run))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def rows(tmp_path) -> Path:
    return write_rows(tmp_path / "x.jsonl")


def train(*arguments: object) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("train_student", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_file_leads_to_a_student_that_is_there(rows, config) -> None:
    out, _ = train("--dataset", rows, "--config", config, "--tags", "a", "first")
    run = TrainingRun.objects.get()
    assert (run.state, run.step, run.max_steps, run.tags) == (State.DONE, 4, 4, ["first", "a"])
    assert run.source["rows"] == {"train": 2, "validation": 1, "test": 1}
    assert (layout_of(run).model / "model.safetensors").exists()
    assert [m.step for m in run.metrics.filter(kind="train")] == [1, 2, 3, 4]
    assert 0 < run.result["validation_loss"] < 10
    assert run.result["versions"]["torch"]
    loss = run.result["train_loss"]
    assert f"Training run {run.pk}: 4 steps, training loss {loss:.4f}, validation loss" in out
    assert f"processed/training/run-{run.pk}/model" in out
    train("--dataset", rows, "--config", config, "--tags", "a", "first")
    assert layout_of(run).log.read_text().count("--- started") == 1, "trained twice"


@pytest.mark.usefixtures("fake")
def test_the_same_again_is_not_trained_again_unless_afresh(rows, config) -> None:
    train("--dataset", rows, "--config", config)
    out, err = train("--dataset", rows, "--config", config)
    run = TrainingRun.objects.get()
    assert "has trained just this; --fresh trains it anew" in err
    assert "The student is in" in out
    assert len(starts_of(run)) == 1
    train("--dataset", rows, "--config", config, "--fresh")
    assert TrainingRun.objects.filter(state=State.DONE).count() == 2


@pytest.mark.usefixtures("fake")
def test_other_rows_or_another_spec_are_another_training(rows, config, tmp_path) -> None:
    train("--dataset", rows, "--config", config)
    train("--dataset", rows, "--config", config, "--tags", "b")
    train("--dataset", write_rows(tmp_path / "y.jsonl", "train"), "--config", config)
    assert TrainingRun.objects.count() == 3


def test_ctrl_c_stops_in_order_and_the_same_command_goes_on(fake, rows, config) -> None:
    fake(400, 0.05)
    interrupt = threading.Thread(target=_interrupt_at_work)
    interrupt.start()
    with pytest.raises(CommandError, match=r"(?s)stopped: Stopped on request.*same command goes"):
        train("--dataset", rows, "--config", config)
    interrupt.join()
    run = TrainingRun.objects.get()
    assert run.state == State.STOPPED
    assert not launcher.look(layout_of(run)).is_alive
    fake(400, 0.0)
    _, err = train("--dataset", rows, "--config", config)
    assert f"Training run {run.pk} is resumed. Stopped on request at step {run.step}." in err
    run.refresh_from_db()
    assert run.state == State.DONE
    assert [m.step for m in run.metrics.filter(kind="train")] == list(range(1, 401))


def _interrupt_at_work() -> None:
    from django.conf import settings

    until = time.monotonic() + 30
    folder = Path(settings.DATA_DIR, "processed", "training")
    while time.monotonic() < until:
        if any(path.read_text().count("\n") > 3 for path in folder.glob("run-*/metrics.jsonl")):
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.05)


def test_one_of_another_host_is_waited_for_at_ease(fake, rows, config, monkeypatch) -> None:
    train("--dataset", rows, "--config", config, "--background")
    monkeypatch.setattr(follow, "LOST_AFTER", timedelta(seconds=1.5))
    TrainingRun.objects.update(state=State.RUNNING, host="elsewhere", heartbeat_at=timezone.now())
    with (
        CaptureQueriesContext(connection) as queries,
        pytest.raises(CommandError, match=r"lost: Its host elsewhere has not been heard of"),
    ):
        train("--dataset", rows, "--config", config)
    assert len(queries) < 40


def test_a_failure_is_one_message_and_not_success(fake, rows, config) -> None:
    fake(8, 0.01, "fails-CUDA out of memory")
    with pytest.raises(CommandError, match=r"failed: It ran out of memory: lower batch_size"):
        train("--dataset", rows, "--config", config)


def test_in_the_background_it_is_only_queued(rows, config) -> None:
    out, _ = train("--dataset", rows, "--config", config, "--background")
    run = TrainingRun.objects.get()
    assert f"Training run {run.pk} is queued" in out
    assert run.state == State.QUEUED
    assert request_stop(training_run_id=run.pk)


@pytest.mark.usefixtures("fake")
def test_a_datasets_export_is_taken_or_made(config) -> None:
    dataset = make_completion(state=CompletionState.State.PASSED).sample.dataset
    with pytest.raises(CommandError, match=r"has no export yet\. Make one with to_sft"):
        train("--dataset", dataset.name, "--config", config)
    train("--dataset", dataset.name, "--config", config, "--policy", "gate")
    run = TrainingRun.objects.get()
    assert run.export == Export.objects.get()
    assert (run.dataset, run.state) == (dataset, State.DONE)
    make_completion(dataset=dataset, state=CompletionState.State.PASSED)
    newest = export_dataset(dataset=dataset, policy="gate")
    train("--dataset", dataset.name, "--config", config)
    assert TrainingRun.objects.first().export == newest
    train("--dataset", dataset.name, "--config", config, "--export", "1")
    assert TrainingRun.objects.count() == 2
    with pytest.raises(CommandError, match=r"no such export; it has versions 2 \(gate\), 1"):
        train("--dataset", dataset.name, "--config", config, "--export", "7")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "gone.jsonl"], r"gone\.jsonl: there is no such file"),
        (["--dataset", "nobody"], r"There is no dataset 'nobody'"),
        (["--config", "gone.yaml"], r"gone\.yaml does not exist; configs that are shipped"),
        (["--tags", "two words"], r"--tags: .*A tag has up to 50"),
        (["--policy", "gate"], r"go with a dataset's name, not with a file"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_cannot_be_is_said_before_anything_is_made(arguments, words, rows, config) -> None:
    wanted = {"--dataset": str(rows), "--config": str(config)}
    wanted |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    with pytest.raises(CommandError, match=words):
        train(*(word for pair in wanted.items() for word in pair))
    assert not TrainingRun.objects.exists()


def test_an_unknown_key_names_the_nearest_known_one(rows, config) -> None:
    config.write_text("learning_rat: 0.1\n")
    with pytest.raises(CommandError, match=r'unknown key "learning_rat", did you mean "learning_r'):
        train("--dataset", rows, "--config", config)


@pytest.mark.usefixtures("fake")
def test_a_shipped_config_is_found_by_its_name(rows) -> None:
    train("--dataset", rows, "--config", "baseline.yaml")
    train("--dataset", rows)
    assert TrainingRun.objects.get().name == "baseline"
    assert not Dataset.objects.exists()
