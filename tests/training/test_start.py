"""What is looked at before a training is queued."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from django.conf import settings

from distill.logic.errors import InputError
from distill.models import CompletionState, Export, Sample
from distill.services.export import export_dataset
from distill.services.tables import write_sft
from tests.builders import make_completion, make_dataset, make_sample, make_user
from tests.training.following import write_rows
from training.logic.spec import TrainSpec
from training.models import TrainingRun
from training.queries.folders import layout_of
from training.services.start import FOLDER, start_training

pytestmark = pytest.mark.django_db
SPEC = TrainSpec()


@pytest.fixture
def export() -> Export:
    dataset = make_dataset("papers")
    for split in (Sample.Split.TRAIN, Sample.Split.TRAIN, Sample.Split.TEST):
        sample = make_sample(dataset, split=split)
        make_completion(sample, state=CompletionState.State.PASSED)
    return export_dataset(dataset=dataset, policy="gate")


def file_of(export: Export, name: str = "train.jsonl") -> Path:
    return Path(settings.DATA_DIR) / export.folder / name


def refused(words: str, **options: object) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        start_training(spec=SPEC, **options)  # type: ignore[arg-type]
    assert not TrainingRun.objects.exists()
    assert not list(Path(settings.DATA_DIR, FOLDER).glob("*"))


def test_an_export_is_queued_with_its_hash_and_its_rows(export) -> None:
    user = make_user("operator")
    spec = TrainSpec(name="mine", tags=("a",), max_steps=9)
    run = start_training(spec=spec, export=export, user=user)
    run.refresh_from_db()
    assert (run.state, run.name, run.tags, run.max_steps) == ("queued", "mine", ["a"], 9)
    assert (run.dataset, run.export, run.created_by) == (export.dataset, export, user)
    assert TrainSpec.model_validate(run.spec) == spec
    assert run.folder == f"processed/training/run-{run.pk}"
    assert run.source == {
        "name": "papers v1",
        "sha256": export.content_sha256,
        "rows": {"train": 2, "validation": 0, "test": 1},
    }


def test_an_export_that_was_changed_on_disk_is_refused(export) -> None:
    with file_of(export).open("ab") as file:
        file.write(b"\n")
    refused("train.jsonl of the export papers v1 has been changed on disk", export=export)


def test_an_export_whose_file_is_gone_is_refused(export) -> None:
    file_of(export, "test.jsonl").unlink()
    refused("test.jsonl of the export papers v1 is gone", export=export)


def test_near_duplicates_on_both_sides_are_refused() -> None:
    dataset = make_dataset("papers")
    for split in (Sample.Split.TRAIN, Sample.Split.TEST):
        make_completion(
            make_sample(dataset, split=split, group_key="one group"),
            state=CompletionState.State.PASSED,
        )
    export = export_dataset(dataset=dataset, policy="gate")
    refused("would train on what it is tested on: “one group” (train and held out)", export=export)


def test_an_export_without_a_row_to_train_on_is_refused() -> None:
    sample = make_sample(make_dataset("few"), split=Sample.Split.TEST)
    make_completion(sample, state=CompletionState.State.PASSED)
    export = export_dataset(dataset=sample.dataset, policy="gate")
    refused("few v1 has no row of split train (1 test)", export=export)


def test_a_file_is_copied_by_split(tmp_path) -> None:
    path = write_rows(tmp_path / "x.jsonl", "train", "validation", "train")
    run = start_training(spec=SPEC, file=path)
    layout = layout_of(run)
    lines = path.read_bytes().splitlines(keepends=True)
    assert layout.rows("train").read_bytes() == lines[0] + lines[2]
    assert layout.rows("validation").read_bytes() == lines[1]
    assert not layout.rows("test").exists()
    assert run.source["name"] == "x.jsonl"
    assert (run.export, run.dataset) == (None, None)


def test_what_to_sft_wrote_knows_its_dataset(export, tmp_path) -> None:
    write_sft(source=export.dataset, policy="gate", dst=tmp_path / "x.jsonl")
    whole = start_training(spec=SPEC, file=tmp_path / "x.jsonl")
    part = start_training(spec=SPEC, file=tmp_path / "x_train.jsonl")
    assert whole.dataset == part.dataset == export.dataset
    assert whole.source["rows"] == {"train": 2, "validation": 0, "test": 1}
    assert part.source["rows"]["test"] == 0


def test_a_file_that_its_manifest_does_not_know_is_refused(export, tmp_path) -> None:
    path = tmp_path / "x.jsonl"
    write_sft(source=export.dataset, policy="gate", dst=path)
    path.write_bytes(path.read_bytes().replace(b"Hypothesis", b"hypothesis") + b"\n")
    refused("x.jsonl is not the file that its manifest tells of", file=path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "x.jsonl is empty"),
        (b'{"prompt": "a"}\n', "x.jsonl, line 1: not a training row"),
        (b"PAR1", "x.jsonl, line 1: not JSON"),
        (b"\n\n{}\n", "x.jsonl, line 3: not a training row"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(content, words, tmp_path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    refused(words, file=path)


def test_a_file_with_a_source_on_both_sides_is_refused(tmp_path) -> None:
    path = write_rows(tmp_path / "x.jsonl", "train", "test", source_id="one")
    refused("“one” (train and test) stand in two splits", file=path)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path) -> None:
    refused("gone.jsonl: it does not exist", file=tmp_path / "gone.jsonl")
    refused("it is a folder, and a file is needed here", file=tmp_path)
    refused("Say what to train on")


def test_a_students_folder_must_be_there_and_hold_a_model(export, tmp_path) -> None:
    for student, words in (
        (str(tmp_path / "gone"), "does not exist"),
        ("./gone", "does not exist"),
        ("~/gone/model", "does not exist"),
        (str(tmp_path), "no config.json"),
    ):
        with pytest.raises(InputError, match=words):
            start_training(spec=TrainSpec(student=student), export=export)
    (tmp_path / "config.json").write_bytes(orjson.dumps({}))
    run = start_training(spec=TrainSpec(student=str(tmp_path)), export=export)
    assert run.spec["student"] == str(tmp_path)
    run = start_training(spec=TrainSpec(student="Qwen/Qwen3-0.6B"), export=export)
    assert run.spec["student"] == "Qwen/Qwen3-0.6B"
