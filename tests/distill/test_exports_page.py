"""Making an export in the browser, looking at it, fetching its files."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from distill.logic.reasons import Reason
from distill.models import CompletionState, Export, Label
from distill.queries.export_zip import stream_zip
from distill.services.export import export_dataset
from distill.services.export_run import note_failed_export
from tests.builders import (
    make_completion,
    make_dataset,
    make_label,
    make_run,
    make_sample,
    make_sample_draw,
    make_user,
)

pytestmark = pytest.mark.django_db

LIST = reverse("distill:exports")
HTMX = {"HX-Request": "true", "HX-Target": "preview"}


@pytest.fixture
def lead(client: Client) -> Client:
    client.force_login(make_user("lead"))
    return client


@pytest.fixture
def dataset():
    dataset = make_dataset()
    for _ in range(3):
        make_label(make_completion(dataset=dataset))
    make_completion(dataset=dataset)
    return dataset


@pytest.fixture
def export(dataset) -> Export:
    return export_dataset(dataset=dataset, policy="reviewed")


def page_of(client: Client, export: Export) -> str:
    return client.get(reverse("distill:export", args=[export.pk])).content.decode()


def file_url(export: Export, name: str) -> str:
    return reverse("distill:download_export_file", args=[export.pk, name])


def test_only_leads_and_operators_may_export(client, export):
    pages = [LIST, reverse("distill:export", args=[export.pk]), file_url(export, "train.jsonl")]
    assert [client.get(url).status_code for url in pages] == [302] * 3
    client.force_login(make_user("reviewer"))
    assert [client.get(url).status_code for url in pages] == [403] * 3
    assert client.post(LIST, {"dataset": export.dataset.name}).status_code == 403


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_count_is_shown_before_anything_is_written(lead, dataset, headers):
    wanted = (("reviewed", 3, "accepted by people"), ("gate", 4, "passed the gate"))
    for policy, count, words in wanted:
        query = {"dataset": dataset.name, "policy": policy}
        page = lead.get(LIST, query, headers=headers).content.decode()
        assert f'Export <span class="num">{count}</span> completions' in page
        assert f"of {dataset.name}, {words}: at most one" in page
        assert ("<html" in page) == (not headers)
    assert not Export.objects.exists()


def test_exporting_twice_makes_one_version(lead, dataset):
    wanted = {"dataset": dataset.name, "policy": "reviewed"}
    first = lead.post(LIST, wanted, follow=True)
    assert "v1 is written." in first.content.decode()
    second = lead.post(LIST, wanted, follow=True)
    assert "the very same rows" in second.content.decode()
    export = Export.objects.get()
    assert export.created_by is not None
    assert second.redirect_chain[-1][0] == reverse("distill:export", args=[export.pk])


def test_an_export_needs_a_post(lead, dataset):
    lead.get(LIST, {"dataset": dataset.name, "policy": "gate"})
    assert not Export.objects.exists()


def test_nothing_to_export_says_why(lead):
    run = make_run()
    make_sample_draw(run, state="rejected", reasons=[Reason.CITATION])
    wanted = {"dataset": run.dataset.name, "policy": "reviewed"}
    assert "0 accepted; 1 rejected" in lead.get(LIST, wanted).content.decode()
    page = lead.post(LIST, wanted, follow=True).content.decode()
    assert "0 accepted; 1 rejected, most for “Citation" in page


@pytest.mark.parametrize("wanted", [{}, {"dataset": "nowhere"}, {"policy": "best"}])
def test_a_wrong_form_is_shown_again(lead, wanted):
    assert lead.post(LIST, wanted).status_code == 422
    assert not Export.objects.exists()


def test_a_large_export_goes_to_the_workers(lead, dataset, monkeypatch):
    monkeypatch.setattr("distill.views.exports.EXPORTED_AT_ONCE", 2)
    page = lead.post(LIST, {"dataset": dataset.name}, follow=True).content.decode()
    assert "is being written" in page
    assert not Export.objects.exists()
    assert OrmQ.objects.count() == 1


def test_the_page_shows_counts_files_rows_and_card(lead, export):
    page = page_of(lead, export)
    for file in export.manifest["files"]:
        assert file["name"] in page
        assert file["sha256"] in page
    assert "If soil moisture falls below 12 %" in page
    assert "Offline stand-in" in page
    assert "task_categories" in page
    assert "changed since" not in page


def test_everything_comes_as_one_zip(lead, export):
    url = reverse("distill:download_export_zip", args=[export.pk])
    assert url in page_of(lead, export)
    response = lead.get(url)
    content = response.getvalue()
    assert response["Content-Type"] == "application/zip"
    name = f"{export.dataset.name}-v1"
    assert f'filename="{name}.zip"' in response["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        found = {
            one.filename: hashlib.sha256(archive.read(one)).hexdigest()
            for one in archive.infolist()
        }
    manifest = found.pop(f"{name}/manifest.json")
    assert (
        manifest
        == hashlib.sha256(lead.get(file_url(export, "manifest.json")).getvalue()).hexdigest()
    )
    named = {f"{name}/{file['name']}": file["sha256"] for file in export.manifest["files"]}
    assert found == named
    assert lead.get(url).getvalue() == content


def test_a_zip_with_a_file_missing_is_none(lead, export, data_dir):
    (data_dir / export.folder / "test.jsonl").unlink()
    url = reverse("distill:download_export_zip", args=[export.pk])
    assert lead.get(url).status_code == 404


def test_a_zip_of_many_pieces_never_holds_them_all(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(os.urandom(3_000_000))
    pieces = list(stream_zip([("x/rows.parquet", path)]))
    assert max(map(len, pieces)) < 400_000
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.read("x/rows.parquet") == path.read_bytes()


def test_a_label_that_was_taken_back_counts_as_changed(lead, export):
    Label.objects.filter(completion__exported_in__export=export).first().delete()
    assert "1 label changed since." in page_of(lead, export)


def test_labels_of_students_answers_change_nothing(lead, export):
    answer = make_completion(dataset=export.dataset, origin="evaluated")
    CompletionState.objects.filter(completion=answer).update(dataset=None)
    make_label(answer)
    assert "changed since" not in page_of(lead, export)


def test_what_a_worker_could_not_export_is_said_until_it_can(lead, dataset):
    make_run(dataset)
    note_failed_export(dataset=dataset, why="the <disk> is full")
    page = lead.get(LIST).text
    assert "No export of" in page
    assert "The &lt;disk&gt; is full" in page
    export_dataset(dataset=dataset, policy="gate")
    assert "No export of" not in lead.get(LIST).text


def test_labels_that_changed_since_are_counted(lead, export):
    make_label(make_completion(dataset=export.dataset))
    page = page_of(lead, export)
    assert "1 label changed since." in page
    assert "Make a new version" in page
    lead.post(LIST, {"dataset": export.dataset.name, "policy": export.policy})
    assert Export.objects.count() == 2


def test_every_named_file_can_be_fetched_whole(lead, export):
    for file in export.manifest["files"]:
        response = lead.get(file_url(export, file["name"]))
        assert hashlib.sha256(response.getvalue()).hexdigest() == file["sha256"]
        assert response["Content-Disposition"].startswith("attachment")
        assert response["Content-Type"] == "application/octet-stream"
    assert lead.get(file_url(export, "manifest.json")).getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../../../../../etc/passwd",
        "data/../train.jsonl",
        "/etc/passwd",
        "..%2fmanifest.json",
        "other.jsonl",
        "data/",
        "data",
    ],
)
def test_no_other_file_can_be_fetched(lead, export, name):
    base = reverse("distill:export", args=[export.pk])
    assert lead.get(f"{base}files/{name}").status_code == 404


def test_an_export_whose_files_are_gone_says_so(lead, export, data_dir):
    (data_dir / export.folder).rename(data_dir / "elsewhere")
    assert "The files are gone." in page_of(lead, export)
    assert lead.get(file_url(export, "train.jsonl")).status_code == 404
    lead.post(LIST, {"dataset": export.dataset.name, "policy": export.policy})
    assert "The files are gone." not in page_of(lead, export)


def test_more_exports_take_no_more_queries(lead, dataset, django_assert_num_queries):
    def make() -> None:
        make_label(make_completion(dataset=dataset))
        export_dataset(dataset=dataset, policy="reviewed")

    make()
    # Session, user, role, datasets of the form, the page, what failed lately.
    with django_assert_num_queries(6):
        lead.get(LIST)
    make()
    make()
    with django_assert_num_queries(6):
        lead.get(LIST)


def test_an_empty_split_is_explained(lead, export):
    page = " ".join(page_of(lead, export).split())
    assert "Nothing is in validation and test: splits go by source document" in page
    assert "inside the data folder of this installation" in page


def test_full_splits_need_no_words(lead):
    dataset = make_dataset()
    for split in ("train", "validation", "test"):
        make_completion(make_sample(dataset, split=split))
    page = page_of(lead, export_dataset(dataset=dataset, policy="gate"))
    assert "splits go by source document" not in page


def test_a_row_without_a_named_source_shows_no_hash(lead):
    sample = make_sample(source_key="5f" * 16, domain="")
    make_completion(sample)
    page = page_of(lead, export_dataset(dataset=sample.dataset, policy="gate"))
    shown = page.split('id="rows"')[1].split("<details")[0]
    assert sample.source_key not in shown
    assert "No domain" in shown
