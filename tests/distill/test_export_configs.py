"""Every config of an export: its rows, its shards, and that they say the same."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from django.core.management import call_command
from django.urls import reverse

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.sft_configs import CONFIGS, SAME_ROWS, SPLITS
from distill.models import Dataset, Decision, Export, Label
from distill.services import sft_files
from distill.services.export import export_dataset
from distill.services.sft_files import FilePair, read_lines, write_configs, write_pairs
from distill.services.verify_export import verify_export
from tests.builders import (
    PAIR,
    make_completion,
    make_dataset,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_user,
)
from tests.logic.test_sft import row

pytestmark = pytest.mark.django_db

EDITED = {**PAIR, "hypothesis": "The edited hypothesis."}


def rows_of(data_dir: Path, export: Export, config: str) -> list[dict[str, Any]]:
    folder = data_dir / export.folder / CONFIGS[config].lines_folder
    files = [(folder / f"{split}.jsonl").read_bytes() for split in SPLITS]
    return [orjson.loads(line) for content in files for line in content.splitlines()]


def shards_of(data_dir: Path, export: Export, config: str, split: str = "train") -> list[Path]:
    folder = data_dir / export.folder / CONFIGS[config].shards_folder
    return sorted(folder.glob(f"{split}-*.parquet"))


def edit(completion, *, reviewer=None) -> None:
    decision = Decision.objects.create(
        completion=completion,
        reviewer=reviewer or make_user("reviewer"),
        kind=Decision.Kind.EDIT,
        fields=EDITED,
    )
    Label.objects.create(completion=completion, outcome="accepted", decision=decision)


@pytest.fixture
def dataset() -> Dataset:
    """A second attempt that was accepted, an edit, one that people rejected."""
    dataset = make_dataset("soils")
    sample = make_sample(dataset, key="1" * 32)
    first = make_completion(
        sample, key="a1", state="rejected", reasons=[Reason.TOO_SHORT], fields={"hypothesis": "So."}
    )
    make_label(make_completion(sample, key="a2", attempt=2, parent=first))
    edit(make_completion(make_sample(dataset, key="2" * 32, split="validation"), key="b1"))
    make_label(
        make_completion(make_sample(dataset, key="3" * 32, split="test"), key="c1"),
        outcome="rejected",
        reasons=[Reason.CITATION],
    )
    return dataset


def test_the_same_question_and_answer_stand_in_every_config(dataset, data_dir):
    export = export_dataset(dataset=dataset, policy="reviewed")
    chats = rows_of(data_dir, export, "messages")
    assert [chat["completion_id"] for chat in chats] == ["a2", "b1"]
    for chat, cut, alpaca in zip(
        chats,
        rows_of(data_dir, export, "prompt_completion"),
        rows_of(data_dir, export, "alpaca"),
        strict=True,
    ):
        system, user, assistant = (message["content"] for message in chat["messages"])
        assert cut["prompt"] + cut["completion"] == chat["messages"]
        assert (alpaca["system"], alpaca["instruction"]) == (system, user)
        assert alpaca["output"] == assistant
        assert cut["completion_id"] == alpaca["completion_id"] == chat["completion_id"]


def test_pairs_come_from_attempts_and_from_edits(dataset, data_dir):
    pairs = rows_of(data_dir, export_dataset(dataset=dataset, policy="reviewed"), "preference")
    by_attempt, by_edit = pairs
    assert (by_attempt["chosen_id"], by_attempt["rejected_id"]) == ("a2", "a1")
    assert by_attempt["pair_source"] == "attempt"
    assert by_attempt["rejected_reasons"] == ["too_short"]
    assert orjson.loads(by_attempt["rejected"][0]["content"]) == {"hypothesis": "So."}
    assert [message["role"] for message in by_attempt["prompt"]] == ["system", "user"]
    assert (by_edit["chosen_id"], by_edit["rejected_id"]) == ("b1", "b1")
    assert by_edit["pair_source"] == "edit"
    assert orjson.loads(by_edit["chosen"][0]["content"]) == EDITED
    assert orjson.loads(by_edit["rejected"][0]["content"]) == PAIR
    assert [pair["split"] for pair in pairs] == ["train", "validation"]


def test_no_pair_is_made_of_equal_answers_later_attempts_or_other_draws(data_dir):
    sample = make_sample()
    make_completion(sample, state="rejected", reasons=[Reason.TOO_LONG])
    make_label(make_completion(sample, attempt=2))
    make_completion(sample, state="rejected", attempt=3, fields={"hypothesis": "Later."})
    make_completion(sample, state="rejected", draw=1, fields={"hypothesis": "Another draw."})
    export = export_dataset(dataset=sample.dataset, policy="reviewed")
    assert rows_of(data_dir, export, "preference") == []
    assert len(rows_of(data_dir, export, "rejected")) == 3


def test_what_was_rejected_says_by_whom_and_why(dataset, data_dir):
    rows = rows_of(data_dir, export_dataset(dataset=dataset, policy="gate"), "rejected")
    by_gate, by_people = rows
    assert (by_gate["completion_id"], by_gate["rejected_by"]) == ("a1", ["gate"])
    assert by_gate["gate_reasons"] == ["too_short"]
    assert (by_people["completion_id"], by_people["rejected_by"]) == ("c1", ["people"])
    assert by_people["review_reasons"] == ["citation"]
    assert (by_people["decision"], by_people["rejected_stage"]) == ("reject", "review")


def test_nothing_rejected_is_in_what_is_trained_on(dataset, data_dir):
    export = export_dataset(dataset=dataset, policy="gate")
    rejected = {one["completion_id"] for one in rows_of(data_dir, export, "rejected")}
    for config in ("messages", "prompt_completion", "alpaca"):
        assert rejected.isdisjoint(
            one["completion_id"] for one in rows_of(data_dir, export, config)
        )


def test_reviewers_are_numbered_and_never_named(data_dir):
    dataset = make_dataset()
    ada, bob = make_user("reviewer", name="ada"), make_user("reviewer", name="bob")
    for key, reviewer in (("1", bob), ("2", ada), ("3", bob)):
        make_label(make_completion(make_sample(dataset, key=key * 32)), reviewer=reviewer)
    export = export_dataset(dataset=dataset, policy="reviewed")
    names = [one["reviewer"] for one in rows_of(data_dir, export, "messages")]
    assert names == ["reviewer-1", "reviewer-2", "reviewer-1"]


def test_only_the_chosen_configs_are_written_and_make_a_version_of_their_own(dataset, data_dir):
    chats = export_dataset(dataset=dataset, policy="reviewed", configs=["messages"])
    pairs = export_dataset(dataset=dataset, policy="reviewed", configs=["preference"])
    assert list(chats.manifest["configs"]) == ["messages"]
    assert list(pairs.manifest["configs"]) == ["messages", "preference"]
    assert not (data_dir / chats.folder / "alpaca").exists()
    assert (chats.version, pairs.version) == (1, 2)
    assert export_dataset(dataset=dataset, policy="reviewed", configs=["messages"]) == chats


def test_a_config_without_rows_is_not_in_the_card(data_dir):
    completion = make_completion()
    make_label(completion)
    export = export_dataset(dataset=completion.sample.dataset, policy="reviewed")
    head = yaml.safe_load((data_dir / export.folder / "README.md").read_text().split("---\n")[1])
    named = [one["config_name"] for one in head["configs"]]
    assert named == ["messages", "prompt_completion", "alpaca"]
    assert [one["config_name"] for one in head["dataset_info"]] == named
    assert head["configs"][0]["default"]
    assert export.manifest["configs"]["preference"]["total"] == 0


def test_shards_hold_as_many_rows_as_asked_in_one_schema(data_dir):
    dataset = make_dataset()
    for number in range(5):
        make_label(make_completion(make_sample(dataset, key=f"{number:032x}")))
    export = export_dataset(dataset=dataset, policy="reviewed", rows_per_shard=2)
    for config in ("messages", "prompt_completion", "alpaca"):
        shards = shards_of(data_dir, export, config)
        assert [path.name for path in shards] == [
            f"train-0000{n}-of-00003.parquet" for n in range(3)
        ]
        assert [pq.read_metadata(path).num_rows for path in shards] == [2, 2, 1]
        assert all(pq.read_schema(path).equals(CONFIGS[config].schema) for path in shards)
        rows = [one for path in shards for one in pq.read_table(path).to_pylist()]
        assert rows == rows_of(data_dir, export, config)
        (empty,) = shards_of(data_dir, export, config, "test")
        assert pq.read_schema(empty).equals(CONFIGS[config].schema)
    verify_export(export=export)
    assert not list((data_dir / export.folder).rglob("*.part"))


def test_a_shard_of_another_pyarrow_is_taken_for_its_rows(data_dir):
    dataset = make_dataset()
    for number in range(5):
        make_label(make_completion(make_sample(dataset, key=f"{number:032x}")))
    export = export_dataset(dataset=dataset, policy="reviewed", rows_per_shard=2)
    for file in export.manifest["files"]:
        if file["name"].endswith(".parquet"):
            file["sha256"] = "0" * 64
    verify_export(export=export)
    last = data_dir / export.folder / "alpaca" / "train-00002-of-00003.parquet"
    pq.write_table(pq.read_table(last.with_name("train-00000-of-00003.parquet")), last)
    with pytest.raises(InputError, match=r"alpaca/train-00002-of-00003\.parquet of the export"):
        verify_export(export=export)


def test_what_is_not_said_is_as_the_recipe_has_it(dataset, data_dir):
    recipe = make_recipe(export={"configs": ["alpaca"], "rows_per_shard": 1_000})
    make_run(dataset, recipe=recipe)
    export = export_dataset(dataset=dataset, policy="reviewed")
    assert set(export.manifest["configs"]) == {"messages", "alpaca"}
    assert export.manifest["rows_per_shard"] == 1_000
    whole = export_dataset(dataset=dataset, policy="reviewed", configs=list(CONFIGS))
    assert set(whole.manifest["configs"]) == set(CONFIGS)


def test_rows_per_shard_below_one_are_refused(dataset):
    with pytest.raises(InputError, match="one row at least"):
        export_dataset(dataset=dataset, policy="reviewed", rows_per_shard=0)


def many_rows(count: int) -> list[dict[str, Any]]:
    splits = ("train",) * 8 + ("validation", "test")
    return [
        row(completion_id=f"c{n}", split=splits[n % 10], domain="é\x00" * 9) for n in range(count)
    ]


def hashes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.*")
    }


def test_the_writer_alone_gives_the_same_bytes_for_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(sft_files, "BLOCK_BYTES", 9_000)
    found = []
    for turn in ("first", "second"):
        rows = iter(many_rows(100))
        written = write_configs(rows, folder=tmp_path / turn, configs=SAME_ROWS, rows_per_shard=33)
        found.append((hashes_of(tmp_path / turn), written["alpaca"][0].lines_sha256))
    assert found[0] == found[1]
    assert len(found[0][0]) == 3 * (3 + 3 + 1 + 1)
    table = pq.ParquetFile(tmp_path / "first" / "data" / "train-00000-of-00003.parquet")
    assert table.num_row_groups > 1
    assert threading.active_count() == 1


def test_a_failure_half_way_ends_the_writing_and_its_thread(tmp_path):
    def rows():
        yield from many_rows(3)
        raise InputError("gone")

    with pytest.raises(InputError, match="gone"):
        write_configs(rows(), folder=tmp_path, configs=("messages",))
    assert threading.active_count() == 1


def test_a_line_of_other_columns_is_no_table():
    schema = CONFIGS["messages"].schema
    with pytest.raises(pa.ArrowInvalid):
        read_lines(b'{"other": 1}\n', schema)
    assert read_lines(b"", schema).num_rows == 0


def test_a_pair_of_files_without_a_split_takes_every_row(tmp_path):
    pair = FilePair(None, tmp_path / "x.jsonl", tmp_path / "x.parquet")
    (written,) = write_pairs(many_rows(10), [pair])
    assert written.rows == 10
    assert pq.read_metadata(pair.parquet).num_rows == 10


def test_the_command_writes_the_configs_that_it_is_told(dataset, data_dir, capsys):
    call_command("to_sft", dataset="soils", configs="alpaca", rows_per_shard=1)
    export = Export.objects.get()
    assert set(export.manifest["configs"]) == {"messages", "alpaca"}
    assert export.manifest["rows_per_shard"] == 1
    info = orjson.loads((data_dir / export.folder / "dataset_info.json").read_bytes())
    assert sorted(info) == [
        f"soils_{config}_{split}"
        for config in ("alpaca", "messages")
        for split in ("train", "validation")
    ]


def test_the_page_shows_each_config_and_how_to_load_it(client, dataset):
    client.force_login(make_user("lead"))
    url = reverse("distill:exports")
    wanted = {"dataset": "soils", "policy": "reviewed", "chose_configs": "1"}
    client.post(url, {**wanted, "configs": ["preference"]})
    export = Export.objects.get()
    assert set(export.manifest["configs"]) == {"messages", "preference"}
    page = client.get(reverse("distill:export", args=[export.pk])).text
    assert "How to load preference" in page
    assert "DPOTrainer(model, train_dataset=rows)" in page
    assert "How to load alpaca" not in page
    client.post(url, wanted)
    assert list(Export.objects.first().manifest["configs"]) == ["messages"]
    assert client.post(url, {**wanted, "configs": ["chatml"]}).status_code == 422


def test_writing_it_again_writes_the_same_configs(client, dataset, data_dir):
    export = export_dataset(
        dataset=dataset, policy="reviewed", configs=["alpaca"], rows_per_shard=1
    )
    client.force_login(make_user("lead"))
    (data_dir / export.folder / "alpaca" / "train.jsonl").unlink()
    page = client.get(reverse("distill:export", args=[export.pk])).text
    form = page.split("Write it again")[0].rpartition("<form")[2]
    names = ("dataset", "policy", "chose_configs", "configs", "rows_per_shard")
    given = {
        name: form.split(f'name="{name}"')[1].split('value="')[1].split('"')[0] for name in names
    }
    client.post(reverse("distill:exports"), given)
    assert Export.objects.get() == export
    verify_export(export=export)


def test_the_page_of_an_export_of_old_still_shows(client, dataset):
    made = export_dataset(dataset=dataset, policy="reviewed", configs=["messages"])
    manifest = made.manifest
    for name in ("configs", "rows_per_shard", "screening"):
        del manifest[name]
    for file in manifest["files"]:
        del file["config"]
    made.delete()
    made.pk = None
    made.save()
    export = Export.objects.get()
    client.force_login(make_user("lead"))
    page = client.get(reverse("distill:export", args=[export.pk])).text
    assert "How to load messages" in page
    verify_export(export=export)
