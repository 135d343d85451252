"""The guide's file forms, one after the other, as a person types them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from django.core.management import CommandError, call_command

import distill
from distill.management import stage
from distill.models import Export, Purchase, Recipe, Run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from distill.teachers.offline.process import _configured_port as find_port
from distill.teachers.offline.process import base_url
from nexa_site.management.commands import launch_pipeline
from training.models import TrainingRun

pytestmark = pytest.mark.django_db(transaction=True)

PASSAGES = Path(distill.__file__).parent / "demo" / "passages.jsonl"


@pytest.fixture(autouse=True, scope="module")
def teacher() -> Iterator[None]:
    """One offline teacher for all commands, on the port that they look at."""
    with offline_teacher(0, faults="citations=0.1") as url, pytest.MonkeyPatch.context() as patch:
        port = int(url.split(":")[2].split("/")[0])
        patch.setattr("distill.teachers.offline.process._configured_port", lambda: port)
        patch.setenv("OFFLINE_TEACHER_PORT", str(port))
        yield


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    path = tmp_path / "papers.jsonl"
    lines = PASSAGES.read_bytes().splitlines()[:30]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def teacher_url() -> str:
    return base_url(int(os.environ["OFFLINE_TEACHER_PORT"]))


def run(name: str, *arguments: object) -> str:
    said = io.StringIO()
    call_command(name, *map(str, arguments), stdout=said, stderr=io.StringIO())
    return said.getvalue()


def test_the_guides_stages_in_file_form(papers: Path, tmp_path: Path) -> None:
    inputs, outputs = tmp_path / "in.parquet", tmp_path / "out.parquet"
    filtered, passed = tmp_path / "filtered.parquet", tmp_path / "passed.parquet"
    rejections, again = tmp_path / "rejections.parquet", tmp_path / "again.parquet"
    sft = tmp_path / "sft.jsonl"

    run("prepare_inputs", "--src", papers, "--text-column", "text", "--dst", inputs)
    run("collect_teacher", "--src", inputs, "--dst", outputs, "--teacher", "offline:extractive")
    answered = pl.read_parquet(outputs)
    assert len(answered) == 30
    assert {"teacher_output", "model_id", "latency_ms", "total_tokens"} <= set(answered.columns)
    assert set(answered["sample_id"]) == set(pl.read_parquet(inputs)["sample_id"])

    run("filter_pairs", "--src", outputs, "--dst", filtered)
    assert pl.read_parquet(filtered)["passes_all"].all()
    run("sample_gate", "--src", outputs, "--dst", passed, "--rejections", rejections)
    rejected = pl.read_parquet(rejections)
    assert len(pl.read_parquet(passed)) + len(rejected) == 30
    assert "citation" in {reason for row in rejected["rejection_reasons"] for reason in row}

    run("regenerate_bad", "--rejected", rejections, "--dst", again)
    assert set(pl.read_parquet(again)["attempt"]) == {2}
    run("to_sft", "--src", passed, "--dst", sft)
    rows = [orjson.loads(line) for line in sft.read_bytes().splitlines()]
    assert len(rows) == len(pl.read_parquet(passed))
    assert [message["role"] for message in rows[0]["messages"]] == ["system", "user", "assistant"]
    newest = Recipe.objects.filter(name="default").order_by("-version").first()
    assert newest, "the rules alone are no version of it that the next run would take"
    assert newest.content.judges


def test_a_second_call_continues_and_buys_nothing(
    papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "out.parquet"
    arguments = ["--src", str(papers), "--dst", str(outputs), "--max-samples", "10"]
    call_command("collect_teacher", *arguments)
    said = capsys.readouterr().err
    assert re.search(r"Collecting: 10 of 10 \(.*/s\), 10 answered\n", said)
    bought, first = Purchase.objects.count(), pl.read_parquet(outputs)
    call_command("collect_teacher", *arguments)
    said = capsys.readouterr().err
    assert "papers.jsonl was imported before" in said
    assert "Reading" not in said
    assert "Collecting: 10 of 10, 10 answered" in said
    assert Purchase.objects.count() == bought
    assert Run.objects.count() == 1
    assert first.equals(pl.read_parquet(outputs))


PRICED = """
name: priced
teacher:
  name: offline:extractive
  slots: 1
  price: {input_per_million: 1, output_per_million: 1000}
"""


def test_a_run_that_its_budget_stops_is_no_success_and_leaves_no_half_table(
    papers: Path, tmp_path: Path
) -> None:
    recipe, outputs = tmp_path / "priced.yaml", tmp_path / "out.parquet"
    recipe.write_text(PRICED)
    arguments = ("--src", papers, "--dst", outputs, "--recipe", recipe)
    with pytest.raises(CommandError, match="Out of budget"):
        run("collect_teacher", *arguments, "--budget", 2)
    assert not outputs.exists()
    assert Purchase.objects.exists()
    with pytest.raises(CommandError, match="Out of budget"):
        run("collect_teacher", *arguments)
    run("collect_teacher", *arguments, "--budget", 100)
    assert len(pl.read_parquet(outputs)) == 30


def test_a_run_that_a_worker_has_taken_is_followed_to_its_end(
    papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def step(run_id: int, **options: object) -> str:
        steps.append(run_id)
        if len(steps) == 2:
            run_step(run_id)
        return "held"

    monkeypatch.setattr(stage, "run_step", step)
    monkeypatch.setattr(stage, "FOLLOW_SECONDS", 0)
    outputs = tmp_path / "out.parquet"
    run("collect_teacher", "--src", papers, "--dst", outputs)
    assert len(steps) == 2
    assert len(pl.read_parquet(outputs)) == 30


def test_the_offline_teacher_of_the_environment_is_asked(
    papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE_BASE_URL", "http://127.0.0.1:1/v1")
    asked: list[object] = []

    def step(run_id: int, *, offline_url: str | None, **options: object) -> str:
        asked.append(offline_url)
        return run_step(run_id, offline_url=teacher_url())

    monkeypatch.setattr(stage, "run_step", step)
    run("collect_teacher", "--src", papers, "--dst", tmp_path / "out.parquet")
    assert asked == [None], "the registry reads the variable"


@pytest.mark.parametrize(
    ("variables", "port"),
    [({}, 8010), ({"PORT": "8300"}, 8310), ({"PORT": "8300", "OFFLINE_TEACHER_PORT": "9"}, 9)],
)
def test_the_offline_teacher_is_looked_for_where_make_up_starts_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], port: int
) -> None:
    for name in ("PORT", "OFFLINE_TEACHER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_port() == port


def test_a_command_that_has_no_key_leaves_nothing_for_a_worker_to_start(papers: Path) -> None:
    with pytest.raises(CommandError, match="OPENAI_API_KEY"):
        run("collect_teacher", "--src", papers, "--teacher", "openai:x", "--max-samples", 1)
    assert not Run.objects.exists()
    assert not Recipe.objects.exists()
    keyed = papers.with_name("keyed.yaml")
    keyed.write_text("name: keyed\nteacher: {name: 'openai:x'}")
    with pytest.raises(CommandError, match="OPENAI_API_KEY"):
        run("collect_teacher", "--src", papers, "--recipe", keyed, "--max-samples", 1)
    assert Run.objects.get().state == Run.State.STOPPED


def test_launch_pipeline_goes_from_a_file_to_a_report_card(
    papers: Path,
    tmp_path: Path,
    settings: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    spec = tmp_path / "few_steps.yaml"
    spec.write_text(
        "max_steps: 3\nmax_length: 4096\ndevice: cpu\n"
        "tiny: {layers: 1, hidden: 32, heads: 2, vocab: 400}\n"
    )
    whole = ("--policy", "gate", "--config", spec, "--held-out", 2)
    said = run("launch_pipeline", "--src", papers, *whole)
    assert "Exported" in said
    assert "# Report card" in said
    assert list(tmp_path.glob("processed/distillation/exports/*/v1/train.jsonl"))
    assert list(tmp_path.glob("processed/training/run-*/model/model.safetensors"))
    num_purchases = Purchase.objects.count()
    again = run("launch_pipeline", "--src", papers, "--policy", "gate", "--until", "export")
    assert "v1" in again
    assert Purchase.objects.count() == num_purchases
    # Another student of the export that is newer is not the one that was asked for.
    student = TrainingRun.objects.get()
    other = TrainingRun.objects.create(
        name="other", export=student.export, source=student.source, spec={}, state="done"
    )
    called: list[dict[str, Any]] = []
    monkeypatch.setattr(
        launch_pipeline.Command, "_call", lambda _self, _name, **options: called.append(options)
    )
    run("launch_pipeline", "--src", papers, *whole)
    assert [options["run"] for options in called if "run" in options] == [student.pk]
    assert other.pk > student.pk


def test_launch_pipeline_reads_its_config_before_anything_is_asked(
    papers: Path, tmp_path: Path
) -> None:
    config = tmp_path / "odd.yaml"
    config.write_text("lerning_rate: 0.1\n")
    with pytest.raises(CommandError, match="learning_rate"):
        run("launch_pipeline", "--src", papers, "--policy", "gate", "--config", config)
    assert not Run.objects.exists()


def test_launch_pipeline_waits_for_people_where_the_policy_does(papers: Path) -> None:
    said = run("launch_pipeline", "--src", papers, "--policy", "reviewed")
    assert "awaits review" in said
    assert not Export.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["collect_teacher", "--src", "nowhere.parquet"], "nowhere.parquet does not exist"),
        (["collect_teacher", "--dataset", "nothing"], "no dataset 'nothing'"),
        (["sample_gate", "--dataset", "nothing"], "no dataset 'nothing'"),
        (["collect_teacher", "--src", "{papers}", "--recipe", "odd"], "no recipe 'odd'"),
        (
            ["collect_teacher", "--src", "{papers}", "--teacher", "http://127.0.0.1:1/v1#x"],
            "--max-samples",
        ),
        (
            ["collect_teacher", "--src", "{papers}", "--teacher", "openai:x", "--max-samples", "1"],
            "OPENAI_API_KEY",
        ),
        (
            ["collect_teacher", "--src", "{papers}", "--teacher", "openia:gpt-4o"],
            "openai",
        ),
        (["filter_pairs", "--src", "{papers}"], "collect some first"),
        (["to_sft", "--src", "{papers}"], "0"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_said_in_one_line(
    papers: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    typed = [argument.replace("{papers}", str(papers)) for argument in arguments]
    with pytest.raises(CommandError) as error:
        run(*typed)
    assert words in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_bare_model_name_is_mapped_and_said(papers: Path) -> None:
    said = io.StringIO()
    with pytest.raises(CommandError, match="OPENROUTER_API_KEY"):
        call_command(
            "collect_teacher",
            "--src",
            str(papers),
            "--teacher",
            "openrouter:gpt-4o",
            "--max-samples",
            "1",
            stderr=said,
        )
    assert "openrouter:openai/gpt-4o" in said.getvalue()
