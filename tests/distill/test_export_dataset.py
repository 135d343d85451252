"""An export on disk: what goes in, the same bytes for the same inputs, nothing half-written."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.models import (
    CompletionState,
    Dataset,
    Decision,
    Export,
    ExportedCompletion,
    Label,
    Recipe,
    Sample,
    SampleDraw,
)
from distill.services.delete_dataset import delete_dataset
from distill.services.export import export_dataset
from distill.services.manifest import make_manifest
from distill.tasks import run_export
from tests.builders import (
    PAIR,
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db

REVIEWED, GATE = Export.Policy.REVIEWED, Export.Policy.GATE
SPLITS = ("train", "validation", "test")


@pytest.fixture
def accepted() -> Dataset:
    """Six accepted completions, two of each split."""
    dataset = make_dataset()
    for split in SPLITS * 2:
        make_label(make_completion(make_sample(dataset, split=split)))
    return dataset


def folder_of(data_dir: Path, export: Export) -> Path:
    return data_dir / export.folder


def lines_of(data_dir: Path, export: Export) -> list[dict[str, Any]]:
    folder = folder_of(data_dir, export)
    return [
        orjson.loads(line)
        for split in SPLITS
        for line in (folder / f"{split}.jsonl").read_bytes().splitlines()
    ]


def completion_ids(data_dir: Path, export: Export) -> set[str]:
    return {row["completion_id"] for row in lines_of(data_dir, export)}


def hashes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rows_stand_in_the_files_of_their_split(accepted, data_dir):
    export = export_dataset(dataset=accepted, policy=REVIEWED, user=make_user("lead"))
    folder = folder_of(data_dir, export)
    for split in SPLITS:
        rows = [
            orjson.loads(line) for line in (folder / f"{split}.jsonl").read_bytes().splitlines()
        ]
        assert len(rows) == 2
        assert {row["split"] for row in rows} == {split}
        table = pq.read_table(folder / "data" / f"{split}-00000-of-00001.parquet")
        assert table.to_pylist() == rows
    assert export.version == 1
    assert ExportedCompletion.objects.filter(export=export).count() == 6


def test_a_row_asks_the_question_and_answers_with_the_fields(accepted, data_dir):
    row = lines_of(data_dir, export_dataset(dataset=accepted, policy=REVIEWED))[0]
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert "Nitrification slows when soils dry." in row["messages"][1]["content"]
    assert orjson.loads(row["messages"][2]["content"]) == PAIR


def test_the_manifest_names_every_file_with_its_hash(accepted, data_dir):
    export = export_dataset(dataset=accepted, policy=REVIEWED)
    folder = folder_of(data_dir, export)
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    assert manifest == export.manifest
    assert manifest["counts"] == {"total": 6, "train": 2, "validation": 2, "test": 2}
    named = {file["name"]: (file["sha256"], file["bytes"]) for file in manifest["files"]}
    on_disk = {
        name: (sha256, (folder / name).stat().st_size)
        for name, sha256 in hashes_of(folder).items()
        if name != "manifest.json"
    }
    assert named == on_disk
    assert manifest["sources"] == [{"name": "papers.jsonl", "sha256": "0" * 64, "bytes": 1}]
    assert manifest["waterfall"]["steps"][0]["count"] == 6


def test_the_card_says_that_the_teacher_is_a_stand_in(accepted, data_dir):
    card = folder_of(data_dir, export_dataset(dataset=accepted, policy=REVIEWED)) / "README.md"
    _, head, body = card.read_text().split("---\n", 2)
    config = yaml.safe_load(head)
    assert config["size_categories"] == ["n<1K"]
    assert config["annotations_creators"] == ["machine-generated", "expert-generated"]
    assert {entry["split"] for entry in config["configs"][0]["data_files"]} == set(SPLITS)
    assert "Not a language model" in body


def test_the_same_rows_again_are_the_same_export(accepted, data_dir):
    first = export_dataset(dataset=accepted, policy=REVIEWED)
    assert export_dataset(dataset=accepted, policy=REVIEWED) == first
    run_export(accepted.pk, REVIEWED, None)
    assert Export.objects.count() == 1
    assert [path.name for path in folder_of(data_dir, first).parent.iterdir()] == ["v1"]


def test_a_further_label_makes_a_further_version(accepted, data_dir):
    first = export_dataset(dataset=accepted, policy=REVIEWED)
    make_label(make_completion(dataset=accepted))
    second = export_dataset(dataset=accepted, policy=REVIEWED)
    assert (first.version, second.version) == (1, 2)
    assert len(lines_of(data_dir, first)) == 6
    assert len(lines_of(data_dir, second)) == 7


def build_twice(dataset: Dataset, order: Callable[[list[int]], list[int]]) -> None:
    """The same content whatever the order of insertion."""
    run = make_run(dataset, recipe=make_recipe(name="fixed"))
    reviewer = make_user("reviewer")
    for number in order(list(range(8))):
        sample = make_sample(
            dataset,
            key=f"{number * 7919:032x}",
            line=number,
            source_key=f"paper-{number}",
            group_key=f"paper-{number}",
            title=f"Paper {number}",
            text=f"Passage {number} about soils. " * 5,
            split=SPLITS[number % 3],
        )
        completion = make_completion(
            sample,
            key=f"{number:032x}",
            recipe=run.recipe,
            fields={**PAIR, "hypothesis": f"Hypothesis {number}\nin two lines é"},
        )
        for judge in order([1, 2]):
            make_judgement(completion, judge=f"judge-{judge}")
        make_verdict(completion, run)
        make_label(completion, reviewer=reviewer)
        reason = [Reason.TOO_SHORT, Reason.CITATION, Reason.REFUSAL][number % 3]
        other = make_completion(
            sample, key=f"{number + 50:032x}", draw=1, state="rejected", reasons=[reason]
        )
        verdict = make_verdict(other, run, reasons=[reason])
        SampleDraw.objects.create(
            run=run, sample=sample, draw=1, state="rejected", completion=other, verdict=verdict
        )


def test_the_order_of_insertion_leaves_no_trace(data_dir, settings, tmp_path):
    found = []
    for turn, order in enumerate((list, lambda numbers: numbers[::-1])):
        settings.DATA_DIR = tmp_path / str(turn)
        # The same recipe as another version: its number is the database's own, too.
        for draws in range(2, turn + 2):
            make_recipe(name="fixed", teacher={"draws": draws})
        dataset = make_dataset("same")
        build_twice(dataset, order)
        export = export_dataset(dataset=dataset, policy=REVIEWED)
        found.append(hashes_of(folder_of(settings.DATA_DIR, export)))
        dataset.delete()
        Recipe.objects.all().delete()
    assert found[0] == found[1]
    assert len(found[0]) == 5 * 6 + 3


def test_the_best_of_several_attempts_is_taken(data_dir):
    sample = make_sample()
    make_completion(sample, key="a" * 32, attempt=1, mean_score=0.99)
    make_label(make_completion(sample, key="b" * 32, attempt=2, mean_score=0.81))
    make_completion(sample, key="c" * 32, attempt=3, mean_score=0.9)
    second = {"hypothesis": "Drought halves nitrification.", "methodology": "Dry the cores."}
    for key, attempt in (("d", 1), ("e", 2)):
        make_completion(
            sample, key=key * 32, attempt=attempt, draw=1, mean_score=0.9, fields=second
        )
    export = export_dataset(dataset=sample.dataset, policy=GATE)
    assert completion_ids(data_dir, export) == {"b" * 32, "e" * 32}


def test_gate_leaves_out_rejected_and_flagged_completions(data_dir):
    dataset = make_dataset()
    kept = make_completion(dataset=dataset)
    make_judgement(kept, flags=["off_topic"])
    make_label(make_completion(dataset=dataset), outcome=Label.Outcome.REJECTED)
    make_completion(dataset=dataset, state="rejected", reasons=[Reason.LOW_SCORE])
    unseen, looked_at = make_completion(dataset=dataset), make_completion(dataset=dataset)
    CompletionState.objects.filter(completion__in=[unseen, looked_at]).update(
        flags=[Reason.PATHOGEN]
    )
    make_label(looked_at)
    export = export_dataset(dataset=dataset, policy=GATE)
    assert completion_ids(data_dir, export) == {kept.key, looked_at.key}
    flags = {row["completion_id"]: row["gate_flags"] for row in lines_of(data_dir, export)}
    assert flags == {kept.key: [], looked_at.key: ["pathogen"]}


def test_reviewed_takes_only_what_people_accepted(data_dir):
    dataset = make_dataset()
    make_completion(dataset=dataset)
    make_label(make_completion(dataset=dataset), outcome=Label.Outcome.REJECTED)
    kept = make_completion(dataset=dataset)
    make_label(kept)
    export = export_dataset(dataset=dataset, policy=REVIEWED)
    assert completion_ids(data_dir, export) == {kept.key}


def test_an_edit_replaces_the_fields(data_dir):
    completion = make_completion()
    edited = {**PAIR, "hypothesis": "The edited hypothesis."}
    decision = Decision.objects.create(
        completion=completion,
        reviewer=make_user("reviewer"),
        kind=Decision.Kind.EDIT,
        fields=edited,
    )
    Label.objects.create(completion=completion, outcome="accepted", decision=decision)
    export = export_dataset(dataset=completion.sample.dataset, policy=REVIEWED)
    (row,) = lines_of(data_dir, export)
    assert orjson.loads(row["messages"][-1]["content"]) == edited
    assert row["decision"] == "edit"


def test_a_template_of_the_file_s_own_is_exported_as_it_is(data_dir):
    sample = make_sample(template_name="summary", instruction="Summarise.")
    make_label(make_completion(sample, template_name="summary", fields={}, text="Line 1\nLine 2"))
    (row,) = lines_of(data_dir, export_dataset(dataset=sample.dataset, policy=REVIEWED))
    assert row["messages"][0]["content"].startswith("Summarise.")
    assert row["messages"][1]["content"] == "Line 1\nLine 2"


def test_nothing_eligible_says_why(data_dir):
    run = make_run()
    make_sample_draw(run)
    make_sample_draw(run, state="rejected", reasons=[Reason.CITATION])
    make_sample_draw(run, state="failed", failure_kind="timeout")
    with pytest.raises(InputError) as caught:
        export_dataset(dataset=run.dataset, policy=REVIEWED)
    assert "0 accepted; 1 await review; 1 rejected, most for “Citation" in str(caught.value)
    assert "1 failed" in str(caught.value)
    assert not (data_dir / "processed").exists()


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """As on a full disk: writing a file beyond so many bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("num_bytes", [500, 3_000, 12_000])
def test_a_full_disk_leaves_nothing_behind(accepted, data_dir, num_bytes):
    with largest_file(num_bytes), pytest.raises(InputError, match="the export of"):
        export_dataset(dataset=accepted, policy=REVIEWED)
    assert not Export.objects.exists()
    assert [path for path in data_dir.rglob("*") if path.is_file()] == []


def test_what_killed_exports_left_behind_is_in_nobodys_way(accepted, data_dir):
    home = data_dir / "processed" / "distillation" / "exports" / accepted.name
    (home / "v1").mkdir(parents=True)
    (home / ".draft-old").mkdir()
    os.utime(home / ".draft-old", (0, 0))
    export = export_dataset(dataset=accepted, policy=REVIEWED)
    assert export.version == 2
    assert not (home / ".draft-old").exists()


def test_a_dataset_that_is_deleted_meanwhile_leaves_nothing_behind(accepted, data_dir, monkeypatch):
    def make_and_delete(*args: Any) -> dict[str, Any]:
        manifest = make_manifest(*args)
        delete_dataset(dataset_id=accepted.pk)
        return manifest

    monkeypatch.setattr("distill.services.export_files.make_manifest", make_and_delete)
    with pytest.raises(InputError, match="has been deleted meanwhile"):
        export_dataset(dataset=accepted, policy="reviewed")
    assert not [path for path in data_dir.rglob("*") if path.is_file()]


def test_files_that_somebody_removed_are_put_back(accepted, data_dir):
    export = export_dataset(dataset=accepted, policy=REVIEWED)
    folder = folder_of(data_dir, export)
    before = hashes_of(folder)
    folder.rename(data_dir / "elsewhere")
    assert export_dataset(dataset=accepted, policy=REVIEWED) == export
    assert hashes_of(folder) == before


def test_a_name_that_is_no_slug_never_becomes_a_path(data_dir):
    dataset = Dataset.objects.create(name="../outside")
    make_label(make_completion(dataset=dataset))
    with pytest.raises(InputError, match="rename it"):
        export_dataset(dataset=dataset, policy=REVIEWED)


def test_many_rows_take_no_more_queries_per_row(data_dir, django_assert_max_num_queries):
    dataset = make_dataset()
    for _ in range(30):
        make_label(make_completion(dataset=dataset), reviewer=None)
    with django_assert_max_num_queries(34):
        export_dataset(dataset=dataset, policy=REVIEWED)


def test_no_passage_of_one_document_stands_in_two_splits(accepted, data_dir):
    rows = lines_of(data_dir, export_dataset(dataset=accepted, policy=REVIEWED))
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["source_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert {row["split"] for row in rows} == set(Sample.Split.values)
