"""What is read of metrics.jsonl, and what not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.services.runs import LeaseLostError
from tests.training.following import make_training
from training.models import Metric, TrainingRun
from training.queries.curves import read_curves
from training.queries.folders import layout_of
from training.services import lease, read_metrics

pytestmark = pytest.mark.django_db
AT = "2026-05-01T10:00:00+00:00"


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    return make_training(tmp_path)


@pytest.fixture
def read(run: TrainingRun) -> Callable[[], None]:
    token = lease.claim(TrainingRun, pk=run.pk)
    assert token

    def read() -> None:
        read_metrics.read_metrics(run=run, token=token, layout=layout_of(run))

    return read


def line(step: int, loss: float | None = 1.0, kind: str = "train", **fields: object) -> str:
    return json.dumps({"kind": kind, "step": step, "loss": loss, "at": AT, **fields}) + "\n"


def write(run: TrainingRun, text: str, mode: str = "a") -> None:
    with layout_of(run).metrics.open(mode) as file:
        file.write(text)


def losses() -> dict[int, float]:
    return {metric.step: metric.values["loss"] for metric in Metric.objects.filter(kind="train")}


def test_no_file_is_no_metric(run, read) -> None:
    read()
    assert not Metric.objects.exists()


def test_a_half_line_is_read_once_it_is_whole(run, read) -> None:
    half = line(2, 0.5)
    write(run, line(1) + half[:20])
    read()
    assert losses() == {1: 1.0}
    read()
    write(run, half[20:])
    read()
    assert losses() == {1: 1.0, 2: 0.5}
    stored = TrainingRun.objects.get(pk=run.pk)
    assert (stored.step, stored.metrics_offset) == (2, layout_of(run).metrics.stat().st_size)


def test_a_step_that_was_done_again_replaces_its_metric(run, read) -> None:
    write(run, line(1) + line(2, 0.5) + line(2, 0.4))
    read()
    write(run, line(2, 0.3, note="again") + line(3, 0.2))
    read()
    assert losses() == {1: 1.0, 2: 0.3, 3: 0.2}
    assert Metric.objects.get(step=2).values == {"loss": 0.3, "note": "again"}


def test_training_and_validation_of_one_step_are_two(run, read) -> None:
    write(run, line(1) + line(1, 2.0, kind="validation"))
    read()
    assert sorted(Metric.objects.values_list("kind", flat=True)) == ["train", "validation"]


def test_a_file_that_became_shorter_is_read_anew(run, read) -> None:
    write(run, line(1) + line(2) + line(3))
    read()
    write(run, line(1, 9.0), mode="w")
    read()
    assert losses() == {1: 9.0, 2: 1.0, 3: 1.0}
    assert TrainingRun.objects.get(pk=run.pk).step == 1


def test_many_lines_are_read_in_pieces(run, read, monkeypatch) -> None:
    monkeypatch.setattr(read_metrics, "CHUNK_BYTES", 1000)
    write(run, "".join(line(step) for step in range(1, 101)))
    read()
    assert len(losses()) == 100


def test_what_is_said_of_the_whole_run_is_kept(run, read) -> None:
    write(run, line(0, None, kind="begin", max_steps=9, device="cpu", versions={"torch": "2"}))
    write(run, line(0, None, kind="report", split="train", kept=7, dropped=1))
    write(run, line(4, None, kind="error", message="It broke.\0"))
    read()
    stored = TrainingRun.objects.get(pk=run.pk)
    assert stored.max_steps == 9
    assert stored.result["versions"] == {"torch": "2"}
    assert stored.result["rows"]["train"]["kept"] == 7
    assert stored.result["error"] == "It broke.\ufffd"


HOSTILE = [
    "what?",
    "[]",
    "7",
    '{"kind": "tra',
    '{"step": 5, "loss": 1.0}',
    '{"kind": ["train"], "step": 5}',
    '{"kind": "train", "loss": 1.0}',
    f'{{"kind": "train", "step": 5, "loss": NaN, "at": "{AT}"}}',
    f'{{"kind": "train", "step": 5, "loss": 1e400, "at": "{AT}"}}',
    line(5, "much"),  # type: ignore[arg-type]
    line(5, True),
    line(5, 1e308),
    line(5, learning_rate={}),
    line(-1),
    line(10**12),
    line("5"),  # type: ignore[arg-type]
    line(5, at="yesterday"),
    line(5, at="2026-05-01T10:00:00"),
    line(5, at="0001-01-01T00:00:00+23:59"),
    '{"kind": "begin", "step": 0, "max_steps": "all"}',
    '{"kind": "report", "kept": 1}',
    '{"kind": "report", "split": []}',
    '{"kind": "error", "message": {}}',
    '{"kind": "end"}',
    "\u2028\x85\xff",
]


def test_lines_that_are_no_events_are_left_out_and_counted(run, read, caplog) -> None:
    write(run, "".join(text.strip("\n") + "\n" for text in HOSTILE) + line(1))
    read()
    assert losses() == {1: 1.0}
    assert TrainingRun.objects.get(pk=run.pk).result == {}
    assert f"{len(HOSTILE)} lines of metrics are no events" in caplog.text


def test_what_no_database_text_holds_is_replaced(run, read) -> None:
    write(run, line(1, note="a\0b", nested={"a\0": ["\0"]}))
    read()
    assert Metric.objects.get().values["note"] == "a\ufffdb"


def test_a_line_without_end_does_not_hide_those_behind_it(run, read, monkeypatch) -> None:
    monkeypatch.setattr(read_metrics, "CHUNK_BYTES", 1000)
    write(run, line(1) + "x" * 5_000 + "\n" + line(2))
    read()
    assert sorted(losses()) == [1, 2]


def test_plots_are_drawn_of_whatever_was_measured(run, read) -> None:
    write(run, line(1, None, learning_rate=1e100) + line(2, -1e100, tokens_per_second=0))
    read()
    assert read_curves(run).train == [(2, -1e100)]


def test_without_the_lease_nothing_is_written(run, read) -> None:
    TrainingRun.objects.update(lease_token=uuid.uuid4())
    write(run, line(1))
    with pytest.raises(LeaseLostError):
        read()
    assert not Metric.objects.exists()
    assert TrainingRun.objects.get(pk=run.pk).metrics_offset == 0
