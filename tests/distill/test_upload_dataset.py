"""A file through the site: sent, mapped with a preview, imported by a worker."""

from __future__ import annotations

import json
import os
import re
import time
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from distill import tasks
from distill.models import Dataset, Sample, SourceFile
from distill.services.ingest.uploads import KEPT_SECONDS, save_upload, upload_path
from tests.builders import make_dataset, make_user

pytestmark = pytest.mark.django_db

ROWS = [
    {"abstract": f"Passage {n}. {'Soils dry. ' * 12}", "doi": f"10/{n}", "topic": "soil"}
    for n in range(8)
]
FILE = "\n".join(map(json.dumps, [*ROWS, {"abstract": 3}])).encode()


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def enqueued(monkeypatch):
    found = []
    monkeypatch.setattr(tasks, "async_task", lambda *args, **options: found.append(args))
    return found


def send(client, content=FILE, file_name="papers.jsonl", **fields):
    file = SimpleUploadedFile(file_name, content)
    data = {"file": file, "name": "soil", **fields}
    return client.post(reverse("distill:upload_dataset"), data)


def work_off(enqueued):
    for function, *arguments in enqueued:
        function(*arguments)


def uploads(data_dir):
    folder = data_dir / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def test_the_whole_way(operator, enqueued, data_dir):
    step_1 = send(operator, description="About soil.")
    assert step_1.status_code == 302
    step_2 = operator.get(step_1.url)
    assert "Passage 0. Soils dry." in step_2.text
    assert "a number (3)" in step_2.text
    assert not Dataset.objects.exists()
    chosen = {"text": "abstract", "source_key": "doi", "domain": "topic"}
    step_3 = operator.post(step_1.url, chosen, follow=True)
    assert "papers.jsonl is being imported" in step_3.text
    source_file = SourceFile.objects.get()
    assert source_file.state == SourceFile.State.IMPORTING
    assert source_file.mapping == {"text": "abstract", "domain": "topic", "source_key": "doi"}
    work_off(enqueued)
    source_file.refresh_from_db()
    assert (source_file.state, source_file.rows_kept, source_file.rows_refused) == ("done", 8, 1)
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.description) == ("soil", "About soil.")
    assert set(Sample.objects.values_list("domain", flat=True)) == {"soil"}
    assert uploads(data_dir) == []


def test_a_task_delivered_twice_changes_nothing_the_second_time(operator, enqueued):
    operator.post(send(operator).url, {"text": "abstract"})
    work_off(enqueued)
    before = SourceFile.objects.values().get()
    work_off(enqueued)
    assert SourceFile.objects.values().get() == before


def test_a_lost_upload_is_a_failed_import(operator, enqueued, data_dir):
    operator.post(send(operator).url, {"text": "abstract"})
    for path in uploads(data_dir):
        path.unlink()
    work_off(enqueued)
    source_file = SourceFile.objects.get()
    assert source_file.state == SourceFile.State.FAILED
    assert "there is no such file" in source_file.message


def test_the_preview_follows_the_mapping(operator):
    url = send(operator).url
    htmx = {"HX-Request": "true", "HX-Target": "preview"}
    data = {"action": "preview", "text": "topic", "same_domain": "geology"}
    page = operator.post(url, data, headers=htmx)
    assert page.status_code == 200
    assert "<html" not in page.text
    assert "Passage 0" not in page.text
    assert "geology" in page.text
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("data", [{}, {"text": "nowhere"}])
def test_an_import_needs_a_text_column(operator, data):
    page = operator.post(send(operator).url, {"title": "doi", **data})
    assert page.status_code == 422
    assert "Choose the column that holds the text." in page.text
    assert not Dataset.objects.exists()


def test_a_column_and_one_domain_for_all_exclude_each_other(operator):
    data = {"text": "abstract", "domain": "topic", "same_domain": "geology"}
    page = operator.post(send(operator).url, data)
    assert page.status_code == 422
    assert "not both" in page.text
    assert not Dataset.objects.exists()


def test_a_column_without_any_text_imports_nothing(operator):
    numbers = b'{"text": 1, "b": 2}'
    url = send(operator, content=numbers).url
    page = operator.post(url, {"text": "b"})
    assert page.status_code == 422
    assert "No sample can be made" in page.text


def test_into_a_dataset_that_there_is(operator, enqueued):
    dataset = make_dataset("soil-old")
    url = send(operator, dataset="soil-old", name="").url
    operator.post(url, {"text": "abstract"})
    work_off(enqueued)
    assert dataset.samples.count() == 8
    enqueued.clear()
    url = send(operator, dataset="soil-old", name="").url
    page = operator.post(url, {"text": "abstract"}, follow=True)
    assert "was imported before; nothing was added" in page.text
    assert not enqueued


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.docx", b"PK", "cannot be imported"),
        ("../../etc/passwd.parquet", b"no", "passwd.parquet cannot be read as Parquet"),
        ("a.csv", "text\nx".encode("utf-16"), "UTF-16"),
    ],
)
def test_files_that_cannot_be_read_stop_at_once(operator, data_dir, name, content, words):
    page = send(operator, content=content, file_name=name)
    assert page.status_code == 422
    assert words in page.text
    assert "../" not in page.text
    assert uploads(data_dir) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Name the new dataset"),
        ({"name": "two words"}, "without spaces"),
        ({"name": "taken"}, "choose it above"),
    ],
)
def test_names_of_new_datasets(operator, fields, words):
    make_dataset("taken")
    page = send(operator, **fields)
    assert page.status_code == 422
    assert words in page.text


def test_an_upload_belongs_to_who_sent_it(operator, client):
    url = send(operator).url
    client.force_login(make_user("operator"))
    assert client.get(url).status_code == 404
    unknown = reverse("distill:map_upload", args=[uuid.uuid4()])
    assert client.get(unknown).status_code == 404


def test_only_operators_upload(client):
    client.force_login(make_user("lead"))
    assert send(client).status_code == 403


def test_a_full_disk_is_said_plainly(operator, monkeypatch, data_dir):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distill.services.files.os.fsync", full)
    page = send(operator)
    assert page.status_code == 422
    assert "papers.jsonl: the disk is full" in page.text
    assert uploads(data_dir) == []


def test_a_file_that_was_sent_and_forgotten_goes_after_a_day(data_dir):
    forgotten, fresh = (save_upload(chunks=[b"x"], name="x.csv") for _ in range(2))
    long_ago = time.time() - KEPT_SECONDS - 1
    os.utime(upload_path(forgotten), (long_ago, long_ago))
    save_upload(chunks=[b"y"], name="y.csv")
    assert not upload_path(forgotten).exists()
    assert upload_path(fresh).exists()


def test_the_preview_shows_no_hash_as_title_or_source(operator):
    content = json.dumps({"abstract": "Kelp forests shade the sea floor. " * 5}).encode()
    page = operator.get(send(operator, content).url).text
    card = page.split('<div class="grid">')[1].split("</article>")[0]
    assert "<h3>Untitled: Kelp forests shade" in card
    assert "Source " not in card
    assert not re.search("[0-9a-f]{32}", card)
