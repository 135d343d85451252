"""The columns of an export: what each says, and that nothing in them is a database's own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from distill.logic.sft import SFT_SCHEMA
from distill.models import Call, Completion, Export, Label, Purchase, Reply, Sample
from distill.services.export import export_dataset
from tests.builders import (
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db

PAID = {"name": "openai:gpt-4o", "temperature": 0.4}


def bought(cost_nano: int | None) -> Call:
    call = Call.objects.create(key=hashlib.sha256(str(cost_nano).encode()).digest())
    run = make_run()
    purchase = Purchase.objects.create(
        call=call, number=1, run=run, expires_at=run.created_at, bound_nano=cost_nano
    )
    Reply.objects.create(
        purchase=purchase, call=call, outcome="accepted", raw=b"{}", cost_nano=cost_nano
    )
    return call


def rows_of(data_dir: Path, export: Export) -> dict[str, dict[str, Any]]:
    lines = [
        line
        for split in Sample.Split.values
        for line in (data_dir / export.folder / f"{split}.jsonl").read_bytes().splitlines()
    ]
    return {row["sample_id"]: row for row in map(orjson.loads, lines)}


def test_a_row_tells_where_it_is_from_what_it_cost_and_who_decided(data_dir):
    recipe = make_recipe(name="paid", teacher=PAID)
    run = make_run(recipe=recipe)
    sample = make_sample(run.dataset, metadata={"license": "CC-BY-4.0", "year": 2021})
    completion = make_completion(sample, recipe=recipe, call=bought(1_234_000), draw=2)
    make_verdict(completion, run)
    for judge, teacher in (("F", "openai:b"), ("R", "openai:a")):
        make_judgement(completion, judge=judge, teacher=teacher)
    make_label(completion)
    (row,) = rows_of(
        data_dir, export_dataset(dataset=run.dataset, policy=Export.Policy.REVIEWED)
    ).values()
    assert row["source_sha256"] == hashlib.sha256(sample.text.encode()).hexdigest()
    assert row["source_license"] == "CC-BY-4.0"
    assert orjson.loads(row["teacher_params"]) == {"temperature": 0.4, "max_tokens": 1024}
    assert row["prompt_version"].startswith("pair@")
    assert (row["draw"], row["attempt"]) == (2, 1)
    assert row["cost_usd"] == pytest.approx(0.001234)
    assert row["judge_models"] == ["openai:a", "openai:b"]
    assert {score["judge"] for score in row["judge_scores"]} == {"F", "R"}
    assert len(row["gate_version"]) == 12
    assert (row["decision"], row["label_basis"]) == ("accept", "single")
    assert row["recipe_hash"] == recipe.sha256


def test_what_is_not_known_is_null_and_the_schema_stays(data_dir):
    dataset = make_dataset()
    unpriced = make_completion(make_sample(dataset), call=bought(None))
    imported = make_completion(
        make_sample(dataset, split="test", metadata={"licence": " ", "license": None}),
        origin=Completion.Origin.IMPORTED,
        prompt_tokens=None,
    )
    export = export_dataset(dataset=dataset, policy=Export.Policy.GATE)
    rows = rows_of(data_dir, export)
    for completion in (unpriced, imported):
        row = rows[completion.sample.key]
        for name in ("cost_usd", "teacher_params", "gate_version", "source_license"):
            assert row[name] is None, name
        assert (row["decision"], row["label_basis"]) == (None, None)
    for split in Sample.Split.values:
        file = data_dir / export.folder / "data" / f"{split}-00000-of-00001.parquet"
        assert pq.read_schema(file).equals(SFT_SCHEMA)
        meta = pq.ParquetFile(file).metadata
        assert {
            meta.row_group(group).column(column).compression
            for group in range(meta.num_row_groups)
            for column in range(meta.num_columns)
        } <= {"ZSTD"}
    assert export.manifest["cost"] == {"usd": 0.0, "num_unpriced": 2}


def test_the_manifest_sums_labels_licences_and_costs_and_holds_the_recipe(data_dir):
    recipe = make_recipe(name="paid", teacher=PAID)
    dataset = make_dataset()
    licences = ("CC-BY-4.0", "CC0-1.0", "CC-BY-4.0")
    for number, (licence, basis) in enumerate(
        zip(licences, ("single", "unanimous", "single"), strict=True)
    ):
        completion = make_completion(
            make_sample(dataset, metadata={"source_license": licence}),
            recipe=recipe,
            call=bought(2_000_000 + number),
            prompt_tokens=10,
            completion_tokens=20,
        )
        make_label(completion)
        Label.objects.filter(completion=completion).update(basis=basis)
    manifest = export_dataset(dataset=dataset, policy=Export.Policy.REVIEWED).manifest
    assert manifest["labels"] == {"single": 2, "unanimous": 1}
    assert manifest["source_licenses"] == [
        {"license": "CC-BY-4.0", "rows": 2},
        {"license": "CC0-1.0", "rows": 1},
    ]
    assert manifest["tokens"] == {"prompt": 30, "completion": 60}
    assert manifest["cost"] == {"usd": 0.006000003, "num_unpriced": 0}
    (used,) = manifest["recipes"]
    assert (used["name"], used["sha256"]) == ("paid", recipe.sha256)
    assert used["document"]["teacher"]["name"] == "openai:gpt-4o"
    assert "version" not in used


def test_neither_reviewers_nor_times_are_in_any_file(data_dir):
    reviewer = make_user("reviewer", name="ada.lovelace")
    completion = make_completion()
    make_label(completion, reviewer=reviewer)
    export = export_dataset(dataset=completion.sample.dataset, policy=Export.Policy.REVIEWED)
    folder = data_dir / export.folder
    year = str(export.created_at.year).encode()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"ada.lovelace" not in content, path.name
            assert year + b"-" not in content, path.name


@pytest.mark.parametrize(
    ("policy", "creators"),
    [
        ("gate", ["machine-generated"]),
        ("reviewed", ["machine-generated", "expert-generated"]),
        ("gold", ["machine-generated", "expert-generated"]),
    ],
)
def test_the_cards_head_is_what_the_hub_reads(data_dir, policy, creators):
    completion = make_completion(make_sample(metadata={"license": "CC-BY `4` |"}))
    make_label(completion)
    Label.objects.filter(completion=completion).update(basis="unanimous")
    export = export_dataset(dataset=completion.sample.dataset, policy=policy)
    _, head, body = (data_dir / export.folder / "README.md").read_text().split("---\n", 2)
    config = yaml.safe_load(head)
    assert config["annotations_creators"] == creators
    assert config["task_categories"] == ["text-generation"]
    info = {one["config_name"]: one for one in config["dataset_info"]}
    features = {one["name"]: one for one in info["messages"]["features"]}
    assert list(features) == SFT_SCHEMA.names
    assert features["messages"]["list"] == [
        {"name": "role", "dtype": "string"},
        {"name": "content", "dtype": "string"},
    ]
    assert features["gate_reasons"]["list"] == "string"
    assert "- `CC-BY ʼ4ʼ |`: 1\n" in body
    for name in SFT_SCHEMA.names:
        assert f"`{name}`" in body, name
