"""Datasets through the API: a file goes in, its import is followed, its samples are read."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from distill.models import Dataset, Sample, SourceFile
from tests.api.clients import work_off
from tests.builders import make_dataset, make_run, make_sample

pytestmark = pytest.mark.django_db

ROWS = [
    {"abstract": f"Passage {n}. {'Soils dry. ' * 12}", "doi": f"10/{n}", "topic": "soil"}
    for n in range(8)
]
FILE = "\n".join(map(json.dumps, [*ROWS, {"abstract": 3}])).encode()


def upload(client, url="/api/v1/datasets/", content=FILE, file_name="papers.jsonl", **fields):
    return client.post(url, {"file": SimpleUploadedFile(file_name, content), **fields})


def test_a_file_becomes_a_dataset(api, enqueued, data_dir):
    client = api("operator")
    answer = upload(client, name="soil", description="About soil.")
    assert answer.status_code == 202, answer.json()
    dataset, source_file = answer.json()["dataset"], answer.json()["source_file"]
    assert dataset["name"] == "soil"
    assert (source_file["state"], source_file["name"]) == ("importing", "papers.jsonl")
    work_off(enqueued)
    assert list((data_dir / "uploads").iterdir()) == []
    url = f"/api/v1/datasets/{dataset['id']}/"
    done = client.get(f"{url}files/{source_file['id']}/").json()
    assert (done["state"], done["rows_kept"], done["rows_refused"]) == ("done", 8, 1)
    detail = client.get(url).json()
    assert detail["num_samples"] == 8
    assert detail["rows"] == {"kept": 8, "duplicate": 0, "refused": 1}
    assert [file["id"] for file in detail["source_files"]] == [source_file["id"]]
    assert client.get("/api/v1/datasets/").json()["results"][0]["num_samples"] == 8


def test_a_mapping_changes_what_is_guessed(api, enqueued):
    client = api("operator")
    mapping = json.dumps({"domain": "topic", "source_key": "doi", "title": ""})
    answer = upload(client, name="soil", mapping=mapping)
    assert answer.json()["source_file"]["mapping"] == {
        "text": "abstract",
        "domain": "topic",
        "source_key": "doi",
    }


def test_the_same_file_again_adds_nothing(api, enqueued):
    client = api("operator")
    dataset = upload(client, name="soil").json()["dataset"]
    work_off(enqueued)
    again = upload(client, f"/api/v1/datasets/{dataset['id']}/files/")
    assert (again.status_code, again.json()["source_file"]["state"]) == (200, "done")
    assert enqueued == []
    further = upload(client, f"/api/v1/datasets/{dataset['id']}/files/", FILE[:400])
    assert further.status_code == 202


@pytest.mark.parametrize(
    ("fields", "content", "wrong"),
    [
        ({}, FILE, "name"),
        ({"name": "a b"}, FILE, "detail"),
        ({"name": "soil", "mapping": "[1"}, FILE, "mapping"),
        ({"name": "soil", "mapping": '{"text": 1}'}, FILE, "mapping"),
        ({"name": "soil", "mapping": '{"nothing": "a"}'}, FILE, "mapping"),
        ({"name": "soil", "mapping": '{"text": "nowhere"}'}, FILE, "detail"),
        ({"name": "soil"}, b"", "detail"),
        ({"name": "soil"}, b"\x00\x01\xff", "detail"),
        ({"name": "soil", "colour": "green"}, FILE, "colour"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_nothing(
    api, enqueued, data_dir, fields, content, wrong
):
    answer = upload(api("operator"), content=content, **fields)
    assert answer.status_code == 400, answer.content
    assert wrong in answer.json()
    assert not Dataset.objects.exists()
    assert not SourceFile.objects.exists()
    assert not list((data_dir / "uploads").glob("*"))
    assert enqueued == []


def test_a_name_that_is_taken_is_a_conflict(api, enqueued):
    make_dataset("soil")
    answer = upload(api("operator"), name="soil")
    assert answer.status_code == 409
    assert "There is a dataset 'soil' already" in answer.json()["detail"]


def test_samples_come_in_pages(api):
    dataset = make_dataset()
    for _ in range(5):
        make_sample(dataset)
    client = api("lead")
    url, keys = f"/api/v1/datasets/{dataset.pk}/samples/?page_size=2", []
    while url:
        page = client.get(url).json()
        keys += [sample["key"] for sample in page["results"]]
        assert len(page["results"]) <= 2
        url = page["next"]
    assert keys == list(Sample.objects.order_by("pk").values_list("key", flat=True))
    for bad in ("page_size=0", "page_size=101", "after=x", "after=0", "what=1"):
        assert client.get(f"/api/v1/datasets/{dataset.pk}/samples/?{bad}").status_code == 400, bad


def test_deleting(api, enqueued, monkeypatch):
    client = api("operator")
    dataset, busy = make_dataset(), make_run().dataset
    assert client.delete(f"/api/v1/datasets/{dataset.pk}/").status_code == 204
    assert client.delete(f"/api/v1/datasets/{dataset.pk}/").status_code == 404
    refused = client.delete(f"/api/v1/datasets/{busy.pk}/")
    assert (refused.status_code, "Stop it" in refused.json()["detail"]) == (409, True)
    SourceFile.objects.create(
        dataset=busy, name="x", sha256="0", size_bytes=1, mapping={}, rows_kept=2001
    )
    assert client.delete(f"/api/v1/datasets/{busy.pk}/").status_code == 202
    assert len(enqueued) == 1
