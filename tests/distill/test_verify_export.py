"""An export that was changed on disk is noticed, named, and put back by exporting again."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from distill.logic.errors import InputError
from distill.models import Export
from distill.services.export import export_dataset
from distill.services.verify_export import verify_export
from tests.builders import make_completion, make_dataset, make_label, make_sample, make_user

pytestmark = pytest.mark.django_db

PARQUET = "data/train-00000-of-00001.parquet"
ROWS = [f"{split}.jsonl" for split in ("train", "validation", "test")] + [PARQUET]


@pytest.fixture
def export(data_dir) -> Export:
    dataset = make_dataset("soils")
    for split in ("train", "train", "validation", "test"):
        make_label(make_completion(make_sample(dataset, split=split)))
    return export_dataset(dataset=dataset, policy="reviewed")


def again(export: Export) -> Export:
    return export_dataset(dataset=export.dataset, policy=export.policy)


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def flip_a_letter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def test_what_was_written_is_in_order(export):
    verify_export(export=export)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("harm", [append, flip_a_letter, cut, empty, remove])
def test_a_changed_file_is_named_and_put_back(export, data_dir, name, harm):
    path = data_dir / export.folder / name
    before = path.read_bytes()
    harm(path)
    with pytest.raises(InputError) as caught:
        verify_export(export=export)
    assert str(caught.value).startswith(f"{name} of the export soils v1 ")
    assert "with policy reviewed again" in str(caught.value)
    assert again(export) == export
    assert path.read_bytes() == before
    verify_export(export=export)


def test_a_missing_folder_is_said_and_put_back(export, data_dir):
    (data_dir / export.folder).rename(data_dir / "elsewhere")
    with pytest.raises(InputError, match=r"train\.jsonl of the export soils v1 is gone"):
        verify_export(export=export)
    assert again(export) == export
    verify_export(export=export)


def test_the_card_is_everybodys_to_edit(export, data_dir):
    card = data_dir / export.folder / "README.md"
    card.write_text("Our own words.")
    verify_export(export=export)
    again(export)
    assert card.read_text() == "Our own words."
    card.unlink()
    again(export)
    assert "Hypothesis–method pairs" in card.read_text()


def test_a_changed_manifest_is_put_back(export, data_dir):
    manifest = data_dir / export.folder / "manifest.json"
    before = manifest.read_bytes()
    manifest.write_text("{}")
    again(export)
    assert manifest.read_bytes() == before


def test_a_parquet_file_of_another_pyarrow_is_taken_for_its_rows(export, data_dir):
    path = data_dir / export.folder / PARQUET
    table = pq.read_table(path)
    for file in export.manifest["files"]:
        if file["name"] == PARQUET:
            file["sha256"] = "0" * 64
    verify_export(export=export)
    pq.write_table(table.slice(0, 1), path)
    with pytest.raises(InputError, match="has been changed on disk"):
        verify_export(export=export)


def test_the_page_says_which_file_is_damaged_and_mends_it(client, export, data_dir):
    client.force_login(make_user("lead"))
    url = reverse("distill:export", args=[export.pk])
    assert "changed on disk" not in client.get(url).text
    (data_dir / export.folder / "train.jsonl").write_text('\n{"messages": 3}\n')
    page = client.get(url).text
    assert "train.jsonl changed on disk." in page
    assert "Write it again" in page
    client.post(reverse("distill:exports"), {"dataset": "soils", "policy": "reviewed"})
    assert "changed on disk" not in client.get(url).text
