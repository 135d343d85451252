"""What the runner writes beside the steps, and what it makes of broken files; without torch."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from distill.logic.errors import InputError
from training.logic.spec import TrainSpec
from training.runner.answer import read_questions
from training.runner.checkpoints import choose_checkpoint
from training.runner.clear_errors import clear_errors, explain
from training.runner.environment import SHIM_PID
from training.runner.metrics_log import MetricsLog, append_lines
from training.runner.publish import whole_folder
from training.runner.render import Rendered
from training.runner.sft import report_rows


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_a_line_and_no_number_is_null_with_a_note(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("train", step=1, loss=float("nan"))
    [event] = lines(log.path)
    assert (event["kind"], event["step"], event["loss"]) == ("train", 1, None)
    assert event["note"] == "loss was nan"
    assert str(event["at"]).endswith("+00:00")


def test_a_half_line_of_a_killed_writer_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "tra', encoding="utf-8")
    MetricsLog(path).write("end", why="done")
    assert [event["kind"] for event in lines(path)] == ["train", "end"]


def test_questions_and_answers_hold_any_kind_of_line_break(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    text = "a\nb\r\nc\u2028d\x85e\x0bf\x1cg"
    append_lines(path, [{"sample_id": "1", "text": text}, {"sample_id": "2", "text": text}])
    assert [answer["text"] for answer in read_questions(path)] == [text, text]


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", is_writer=False)
    log.write("train", step=1)
    assert not log.path.exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "The disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9 vs 7"), "full"),
        (InputError("Nothing is left to train on."), "Nothing is left to train on."),
        (type("OutOfMemoryError", (RuntimeError,), {})(), "lower batch_size"),
        (FileNotFoundError(errno.ENOENT, "No such file", "train.jsonl"), "train.jsonl: No such"),
    ],
)
def test_errors_of_the_surroundings_are_explained(error: Exception, message: str) -> None:
    assert message in str(explain(error))


def test_the_last_line_says_what_went_wrong(tmp_path: Path, capsys) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    with pytest.raises(SystemExit) as ended, clear_errors(log):
        raise InputError("The loss became nan at step 3: lower learning_rate.")
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: The loss became nan")
    assert lines(log.path)[-1]["kind"] == "error"


def test_an_error_of_ours_keeps_its_traceback(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit), clear_errors(MetricsLog(tmp_path / "metrics.jsonl")):
        raise ZeroDivisionError("by zero")
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1] == "error: ZeroDivisionError: by zero"


def make_checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    save_file({"weight": np.zeros(1000, np.float32)}, path / "model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt"):
        with zipfile.ZipFile(path / name, "w") as archive:
            archive.writestr("data", "x" * 1000)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("name", ["trainer_state.json", "model.safetensors", "optimizer.pt"])
@pytest.mark.parametrize("breaks", [Path.unlink, _cut], ids=["missing", "cut"])
def test_the_newest_whole_checkpoint_is_chosen(tmp_path: Path, name: str, breaks) -> None:
    make_checkpoint(tmp_path, 3)
    whole = make_checkpoint(tmp_path, 20)
    broken = make_checkpoint(tmp_path, 100)
    breaks(broken / name)
    assert choose_checkpoint(tmp_path) == whole
    assert not broken.exists()


def test_without_a_whole_checkpoint_it_begins_anew(tmp_path: Path) -> None:
    assert choose_checkpoint(tmp_path / "none") is None


def test_a_sharded_checkpoint_needs_all_its_shards(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 1)
    names = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (path / "model.safetensors").rename(path / names["a"])
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert choose_checkpoint(tmp_path) is None


def test_a_folder_stands_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "model"
    with pytest.raises(ZeroDivisionError), whole_folder(final) as draft:
        (draft / "weights").write_text(str(1 / 0))
    assert not final.exists()
    with whole_folder(final) as draft:
        assert list(draft.iterdir()) == []
        (draft / "weights").write_text("all")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def rendered(*, kept: int, too_long: int) -> Rendered:
    return Rendered(kept=kept, too_long=too_long, longest=700)


def test_rows_left_out_are_said_and_none_left_is_an_error(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    spec = TrainSpec(max_length=512)
    report_rows("train", rendered(kept=2, too_long=1), spec, log)
    event = lines(log.path)[-1]
    assert {
        "kind": "report",
        "split": "train",
        "kept": 2,
        "dropped": 1,
        "longest": 700,
    }.items() <= (event.items())
    with pytest.raises(InputError, match=r"Nothing is left to train on.*longest has 700 tokens"):
        report_rows("train", rendered(kept=0, too_long=3), spec, log)
    refusing = TrainSpec(max_length=512, too_long="refuse")
    with pytest.raises(InputError, match="Raise max_length, or set too_long: drop"):
        report_rows("train", rendered(kept=2, too_long=1), refusing, log)


FOLLOWER = """
import subprocess, sys
from training.runner.environment import die_with_parents
die_with_parents()
print("follows", flush=True)
import time
time.sleep(60)
"""
LEADER = f"""
import subprocess, sys
follower = subprocess.Popen([sys.executable, "-c", {FOLLOWER!r}])
print(follower.pid, flush=True)
follower.wait()
"""


def test_no_rank_outlives_its_launcher() -> None:
    with _started(LEADER, dict(os.environ)) as leader:
        pid = int(leader.stdout.readline())
        assert leader.stdout.readline() == "follows\n"
        leader.kill()
        assert _ends(pid)


def test_no_rank_outlives_the_shim() -> None:
    shim = subprocess.Popen(["sleep", "60"])
    with shim, _started(FOLLOWER, {**os.environ, SHIM_PID: str(shim.pid)}) as follower:
        assert follower.stdout.readline() == "follows\n"
        shim.kill()  # and nobody has waited for it yet
        assert follower.wait(timeout=10) == 1


def _started(program: str, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True
    )


def _ends(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return False
