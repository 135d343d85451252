"""The list of datasets, and the page of one: counts, plots, files, samples, search."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from distill.models import Dataset, RefusedRow, SourceFile
from distill.queries import datasets as queries
from distill.services.ingest import import_file
from tests.builders import make_completion, make_dataset, make_run, make_sample, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def soil(tmp_path):
    rows = [
        {"text": f"{n}. {'Soils dry. ' * (10 + n)}", "domain": "soil", "title": f"Paper {n}"}
        for n in range(45)
    ]
    rows += [{}, {"text": "<script>alert(1)</script>", "title": "<b>bold</b>"}]
    path = tmp_path / "soil.jsonl"
    path.write_text("\n".join(map(json.dumps, [*rows, rows[0]])))
    dataset = make_dataset("soil")
    import_file(dataset=dataset, path=path, name="soil.jsonl")
    return dataset


def _url(dataset, name="dataset", **query):
    return reverse(f"distill:{name}", args=[dataset.pk], query=query or None)


def test_an_empty_list_says_what_to_do(operator):
    page = operator.get(reverse("distill:datasets")).text
    assert "No dataset yet" in page
    assert reverse("distill:upload_dataset") in page


def test_the_list_counts_samples_completions_and_runs(operator, soil):
    make_completion(soil.samples.first())
    make_run(soil)
    page = operator.get(reverse("distill:datasets")).text
    summary = queries.summarise_dataset(soil)
    assert (summary.num_samples, summary.num_completions, summary.num_runs) == (46, 1, 1)
    assert ">46<" in page
    assert "just now" in page


def test_counts_stop_at_a_limit(operator, soil, monkeypatch):
    monkeypatch.setattr(queries, "MAX_COUNTED", 10)
    assert "10+" in operator.get(reverse("distill:datasets")).text


def test_the_list_asks_the_same_number_of_queries_however_long_it_is(
    operator, soil, django_assert_num_queries
):
    url = reverse("distill:datasets")
    operator.get(url)
    for _ in range(2):
        with django_assert_num_queries(6):
            operator.get(url)
        for _ in range(5):
            make_sample(make_dataset())


def test_the_page_shows_counts_plots_and_files(operator, soil):
    page = operator.get(_url(soil)).text
    assert "Length of the texts" in page
    assert "no domain" in page
    assert "Splits, by source document" in page
    assert "soil.jsonl" in page
    assert "Row 46: The text is empty." in page
    assert "duplicate" in page
    assert reverse("distill:start_run") + f"?dataset={soil.pk}" in page


def test_the_page_asks_a_fixed_number_of_queries(operator, soil, django_assert_num_queries):
    operator.get(_url(soil))
    with django_assert_num_queries(15):
        operator.get(_url(soil))


def test_texts_of_files_are_text(operator, soil):
    page = operator.get(_url(soil, text="alert")).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>bold</b>" not in page
    assert "<script>alert" not in page


def test_samples_are_paged_in_the_order_of_the_file(operator, soil):
    first = operator.get(_url(soil)).text
    assert "Paper 19" in first
    assert "Paper 20" not in first
    last_id = soil.samples.order_by("pk")[19].pk
    second = operator.get(_url(soil, after=last_id)).text
    assert "Paper 20" in second
    assert "Paper 19" not in second


def test_samples_are_searched(operator, soil):
    page = operator.get(
        _url(soil, text="PAPER 33"), headers={"HX-Request": "true", "HX-Target": "samples"}
    )
    assert "Paper 33" in page.text
    assert "Paper 32" not in page.text
    assert "<html" not in page.text
    assert "No sample holds “nowhere”" in operator.get(_url(soil, text="nowhere")).text


def test_a_search_goes_on_where_it_stopped(operator, soil, monkeypatch):
    monkeypatch.setattr(queries, "SEARCH_WINDOW", 20)
    page = queries.find_samples(soil, text="Paper 33")
    assert (list(page.rows), page.is_cut) == ([], True)
    assert [s.title for s in queries.find_samples(soil, text="Paper 33", after=page.next).rows] == [
        "Paper 33"
    ]
    assert "go on to the next page" in operator.get(_url(soil, text="Paper 33")).text


def test_an_import_is_polled_until_it_ends(operator, soil):
    SourceFile.objects.update(state=SourceFile.State.IMPORTING)
    htmx = {"HX-Request": "true", "HX-Target": "files"}
    page = operator.get(_url(soil), headers=htmx)
    assert page.status_code == 200
    assert "every 2s" in page.text
    assert "<html" not in page.text
    SourceFile.objects.update(state=SourceFile.State.DONE)
    page = operator.get(_url(soil), headers=htmx)
    assert page.status_code == 286
    assert page["HX-Redirect"] == _url(soil)


def test_refused_rows_are_downloaded(operator, soil):
    source_file = soil.source_files.get()
    RefusedRow.objects.create(source_file=source_file, line=99, message="Bad.", excerpt="=1+1")
    url = reverse("distill:download_refused", args=[soil.pk, source_file.pk])
    response = operator.get(url)
    lines = response.getvalue().decode().splitlines()
    assert lines[0] == "row,field,reason,excerpt"
    assert lines[1] == "46,text,The text is empty.,None"
    assert lines[2] == "99,,Bad.,'=1+1"
    other = reverse("distill:download_refused", args=[make_dataset().pk, source_file.pk])
    assert operator.get(other).status_code == 404


def test_an_empty_dataset_says_what_to_do(operator):
    page = operator.get(_url(make_dataset())).text
    assert "There are no samples yet" in page


def test_what_is_not_there_is_not_found(operator):
    assert operator.get(reverse("distill:dataset", args=[2**62])).status_code == 404


@pytest.mark.parametrize("name", ["datasets", "dataset", "delete_dataset", "upload_dataset"])
@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("reviewer", set()),
        ("lead", {"datasets", "dataset"}),
        ("operator", {"datasets", "dataset", "delete_dataset", "upload_dataset"}),
        ("admin", {"datasets", "dataset", "delete_dataset", "upload_dataset"}),
    ],
)
def test_who_may_see_what(client, soil, role, allowed, name):
    url = _url(soil, name) if name in {"dataset", "delete_dataset"} else reverse(f"distill:{name}")
    assert client.get(url).status_code == 302
    client.force_login(make_user(role))
    assert client.get(url).status_code == (200 if name in allowed else 403)


def test_a_lead_sees_no_buttons_that_change(client, soil):
    client.force_login(make_user("lead"))
    page = client.get(_url(soil)).text
    assert "Start a run" not in page
    assert reverse("distill:delete_dataset", args=[soil.pk]) not in page


def test_histograms_have_round_edges():
    bins = queries.histogram(sorted([*range(100, 300), 5000]))
    assert bins[0][0] == 100
    assert sum(count for _, _, count in bins) == 201
    assert bins[-1][1] == 5000
    assert queries.histogram([]) == []
    assert queries.histogram([7]) == [(7, 8, 1)]
    assert Dataset.objects.count() == 0
