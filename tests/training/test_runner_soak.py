"""What trainings do when they are stopped, starved, poisoned or many; each test some processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.runner_process import (
    TINY,
    losses,
    make_folder,
    make_rows,
    read_events,
    run,
    start,
    wait_for_step,
    write_jsonl,
)
from training.logic.layout import TrainingLayout

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("runner"), pytest.mark.timeout(300)]


def torchrun(processes: int) -> tuple[str, ...]:
    return ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes))


def last_line(layout: TrainingLayout) -> str:
    return layout.log.read_text().splitlines()[-1]


def test_a_killed_training_ends_like_one_that_ran_through(tmp_path: Path) -> None:
    through = make_folder(tmp_path / "through")
    assert run("sft", through) == 0
    killed = make_folder(tmp_path / "killed")
    for step in (12, 33):
        with start("sft", killed) as process:
            wait_for_step(process, killed, step)
            process.kill()
    assert run("sft", killed) == 0, killed.log.read_text()
    assert losses(killed) == pytest.approx(losses(through), abs=1e-6)
    [end], [again] = read_events(through, "end"), read_events(killed, "end")
    assert again["train_loss"] == pytest.approx(end["train_loss"], abs=1e-6)
    assert again["validation_loss"] == pytest.approx(end["validation_loss"], abs=1e-6)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_stop_file_ends_it_in_order_and_it_goes_on(tmp_path: Path, processes: int) -> None:
    layout = make_folder(tmp_path / "run", save_every=1000, processes=processes, max_steps=100)
    launcher = torchrun(processes)
    with start("sft", layout, launcher=launcher) as process:
        wait_for_step(process, layout, 8)
        layout.stop.touch()
        assert process.wait(timeout=60) == 0, layout.log.read_text()
    [end] = read_events(layout, "end")
    assert (end["why"], end["model"]) == ("stopped", None)
    assert not layout.model.exists()
    assert (layout.checkpoints / f"checkpoint-{end['step']}").is_dir()
    layout.stop.unlink()
    assert run("sft", layout, launcher=launcher) == 0, layout.log.read_text()
    assert read_events(layout, "begin")[-1]["step"] == end["step"]
    assert read_events(layout, "end")[-1]["why"] == "done"
    assert list(losses(layout)) == list(range(1, 101))


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    # Eleven rows: the last batch of an epoch is not the same size for both.
    one = make_folder(tmp_path / "one", batch_size=4, max_steps=12)
    two = make_folder(tmp_path / "two", batch_size=2, max_steps=12, processes=2)
    for layout in (one, two):
        write_jsonl(layout.rows("train"), make_rows(11, split="train"))
    assert run("sft", one) == 0
    assert run("sft", two, launcher=torchrun(2)) == 0, two.log.read_text()
    [begin] = read_events(two, "begin")
    assert begin["world_size"] == 2
    assert [event["step"] for event in read_events(two, "train")] == list(range(1, 13))
    assert losses(two)[1] == pytest.approx(losses(one)[1], rel=1e-2)
    assert losses(two)[12] == pytest.approx(losses(one)[12], rel=0.1)


def test_all_ranks_die_with_their_launcher(tmp_path: Path) -> None:
    layout = make_folder(tmp_path / "run", processes=2, max_steps=100_000)
    process = start("sft", layout, launcher=torchrun(2))
    wait_for_step(process, layout, 3)
    process.kill()
    process.wait()
    time.sleep(2)
    size = layout.metrics.stat().st_size
    time.sleep(2)
    assert layout.metrics.stat().st_size == size
    assert (
        str(layout.folder)
        not in subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout
    )


def test_packed_rows_are_all_read(tmp_path: Path) -> None:
    layout = make_folder(tmp_path / "run", packing=True, epochs=1.0, max_steps=None)
    assert run("sft", layout) == 0, layout.log.read_text()
    [begin] = read_events(layout, "begin")
    assert read_events(layout, "train")[-1]["tokens"] == begin["num_tokens"]


def test_a_full_disk_is_said_and_it_goes_on_afterwards(tmp_path: Path) -> None:
    layout = make_folder(tmp_path / "run")
    # Enough for the student, not for its optimiser; a file that grows over it is an error.
    assert run("sft", layout, limit="-f 140") == 1
    assert last_line(layout).startswith("error: The disk is full."), layout.log.read_text()
    assert read_events(layout, "error")[-1]["message"].startswith("The disk is full.")
    assert run("sft", layout) == 0, layout.log.read_text()
    assert read_events(layout, "begin")[-1]["step"] == 0
    assert layout.model.exists()


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path) -> None:
    student = tmp_path / "student"
    donor = make_folder(tmp_path / "donor", max_steps=1)
    assert run("sft", donor) == 0
    shutil.copytree(donor.base, student)
    program = (
        "import sys, torch, transformers as t\n"
        "model = t.AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "torch.nn.init.constant_(model.model.norm.weight, float('nan'))\n"
        "model.save_pretrained(sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(student)], check=True)
    layout = make_folder(tmp_path / "run", student=str(student))
    assert run("sft", layout) == 1
    assert "The loss became nan at step 1: lower learning_rate" in last_line(layout)
    [event] = read_events(layout, "train")
    assert (event["loss"], "loss was nan" in event["note"]) == (None, True)
    assert list(layout.checkpoints.glob("checkpoint-*")) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"student": "nobody/nothing", "revision": "v1"}, "nobody/nothing cannot be loaded: "),
        ({"bf16": True}, "bf16 needs a GPU"),
        ({"max_length": 40}, "Nothing is left to train on."),
        ({"processes": 2}, "The spec wants 2 processes, and 1 were started."),
    ],
)
def test_what_cannot_work_is_said_before_any_step(tmp_path: Path, fields, message: str) -> None:
    layout = make_folder(tmp_path / "run", **fields)
    assert run("sft", layout) == 1
    assert message in last_line(layout)
    assert message in read_events(layout, "error")[-1]["message"]
    assert losses(layout) == {}


def test_the_same_spec_and_rows_make_the_same_student(tmp_path: Path) -> None:
    first, second = (make_folder(tmp_path / name, max_steps=3) for name in "ab")
    assert run("sft", first) == run("sft", second) == 0
    for name in ("tokenizer.json", "model.safetensors"):
        assert (first.base / name).read_bytes() == (second.base / name).read_bytes()
    assert losses(first) == losses(second)
    config = json.loads((first.base / "config.json").read_text())
    assert config["vocab_size"] <= TINY.vocab
