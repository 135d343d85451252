"""No source stands in two splits (invariant 7), however somebody tries to bring it into a second."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from distill.models import Dataset, Decision, RefusedRow, Sample
from distill.services.export import export_dataset
from distill.services.ingest import import_file
from tests.builders import (
    PAIR,
    make_completion,
    make_dataset,
    make_label,
    make_recipe,
    make_run,
    make_user,
)

pytestmark = pytest.mark.django_db

SPLITS = Sample.Split.values


def passage(number: int) -> str:
    return (
        f"Passage {number}: nitrification in soil {number} slows by {number} % when it dries. " * 2
    )


def bring_in(dataset: Dataset, folder: Path, rows: list[dict[str, str]]) -> None:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    import_file(dataset=dataset, path=path, name=path.name)


def exported(dataset: Dataset, data_dir: Path) -> list[dict[str, str]]:
    """The rows of all splits; each says by its file, not by its column, in which it is."""
    export = export_dataset(dataset=dataset, policy="reviewed")
    return [
        orjson.loads(line) | {"split": split}
        for split in SPLITS
        for line in (data_dir / export.folder / f"{split}.jsonl").read_bytes().splitlines()
    ]


def splits_by(rows: list[dict[str, str]], name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row[name]].add(row["split"])
    return found


def leave_copies_in(dataset: Dataset) -> None:
    """So that the splits alone keep train and test apart, without the screening's help."""
    off = dict.fromkeys(("duplicate_prompts", "duplicate_pairs", "contamination"), False)
    make_run(dataset, recipe=make_recipe(screening=off))


def accept_all(dataset: Dataset) -> None:
    reviewer = make_user("reviewer")
    for sample in dataset.samples.filter(completions=None):
        make_label(make_completion(sample), reviewer=reviewer)


def test_a_text_under_other_names_and_spellings_stays_in_its_split(data_dir, tmp_path):
    dataset = make_dataset()
    rows = [{"source_id": f"paper-{number}", "text": passage(number)} for number in range(40)]
    bring_in(dataset, tmp_path, rows)
    other_names = [{**row, "source_id": f"copy of {row['source_id']}"} for row in rows]
    bring_in(dataset, tmp_path, [{**row, "text": row["text"].upper()} for row in rows])
    bring_in(dataset, tmp_path, [{**row, "text": row["text"].upper()} for row in other_names])
    bring_in(dataset, tmp_path, [{**row, "text": f"  {row['text']}\n\n!"} for row in other_names])
    leave_copies_in(dataset)
    accept_all(dataset)
    found = exported(dataset, data_dir)
    assert len(found) > 100
    assert {row["split"] for row in found} == set(SPLITS)
    folded = [{**row, "text": _passage_of(row)} for row in found]
    assert all(len(splits) == 1 for splits in splits_by(folded, "text").values())
    assert all(len(splits) == 1 for splits in splits_by(found, "source_id").values())


def _passage_of(row: Any) -> str:
    text = next(one["content"] for one in row["messages"] if one["role"] == "user")
    return "".join(filter(str.isalnum, text.partition("<passage>")[2])).casefold().split("reply")[0]


def test_other_passages_of_a_document_in_another_case_follow_it(data_dir, tmp_path):
    dataset = make_dataset()
    for turn, spell in enumerate((str.lower, str.upper, str.title)):
        rows = [
            {"source_id": spell(f"doi 10.1/a{number}"), "text": passage(100 * turn + number)}
            for number in range(40)
        ]
        bring_in(dataset, tmp_path, rows)
    accept_all(dataset)
    found = [row | {"source": row["source_id"].casefold()} for row in exported(dataset, data_dir)]
    assert len(found) == 120
    assert all(len(splits) == 1 for splits in splits_by(found, "source").values())


def test_a_passage_that_would_join_two_splits_is_refused(data_dir, tmp_path):
    dataset = make_dataset()
    rows = [{"source_id": f"paper-{number}", "text": passage(number)} for number in range(40)]
    bring_in(dataset, tmp_path, rows)
    by_split = {sample.split: sample for sample in dataset.samples.all()}
    train, test = by_split["train"], by_split["test"]
    leak = {"source_id": train.source_key, "text": test.text.upper()}
    bring_in(dataset, tmp_path, [leak, {"source_id": "another", "text": passage(99)}])
    assert "it would leak" in RefusedRow.objects.get().message
    assert dataset.samples.filter(source_key=train.source_key).count() == 1


def test_an_edit_leaves_a_row_in_its_split_or_out_whatever_it_says(data_dir, tmp_path):
    dataset = make_dataset()
    rows = [{"source_id": f"paper-{number}", "text": passage(number)} for number in range(40)]
    bring_in(dataset, tmp_path, rows)
    leave_copies_in(dataset)
    accept_all(dataset)
    before = {row["sample_id"]: row["split"] for row in exported(dataset, data_dir)}
    test = dataset.samples.filter(split="test").first()
    few_words = {**PAIR, "hypothesis": f"{' '.join(test.text.split()[:6])} {test.source_key}"}
    copied = {**PAIR, "hypothesis": test.text}
    edited = list(
        dataset.samples.filter(split="train")[:6].values_list("key", "completions__label")
    )
    for number, (_, label) in enumerate(edited):
        edit = Decision.objects.create(
            completion_id=label,
            reviewer=make_user(),
            kind="edit",
            fields=few_words if number < 3 else copied,
        )
        edit.completion.label.decision = edit
        edit.completion.label.save()
    after = {row["sample_id"]: row["split"] for row in exported(dataset, data_dir)}
    assert after == {key: before[key] for key in before if key not in dict(edited[3:])}


def test_the_same_source_has_the_same_split_in_every_dataset(data_dir, tmp_path):
    rows = [{"source_id": f"paper-{number}", "text": passage(number)} for number in range(40)]
    splits = []
    for order in (rows, rows[::-1]):
        dataset = make_dataset()
        bring_in(dataset, tmp_path, order)
        splits.append(dict(dataset.samples.values_list("source_key", "split")))
    assert splits[0] == splits[1]
