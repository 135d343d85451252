"""The completions browser: what each filter finds, who may look, what hostile text does."""

from __future__ import annotations

import csv
import io

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from distill.logic.reasons import Reason
from distill.models import CompletionState, SampleDraw
from distill.queries import completions as completion_queries
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

LIST = "distill:completions"
DOWNLOAD = "distill:download_completions"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


def shown(client: Client, **query: str | int) -> list[int]:
    response = client.get(reverse(LIST), query)
    assert response.status_code == 200
    return [row.completion.pk for row in response.context["page"].rows]


@pytest.mark.parametrize("name", [LIST, DOWNLOAD])
def test_reviewers_and_strangers_are_kept_out(client, name):
    assert client.get(reverse(name)).status_code == 302
    client.force_login(make_user("reviewer"))
    assert client.get(reverse(name)).status_code == 403


def test_newest_come_first_and_pages_follow_each_other(operator, monkeypatch):
    monkeypatch.setattr(completion_queries, "PAGE_SIZE", 2)
    made = [make_completion().pk for _ in range(5)]
    response = operator.get(reverse(LIST))
    assert b"5 completions" in response.content
    pages = [shown(operator)]
    while after := operator.get(reverse(LIST), {"after": pages[-1][-1]}).context["page"].rows:
        pages.append([row.completion.pk for row in after])
    assert [pk for page in pages for pk in page] == made[::-1]


def test_each_filter_finds_its_own(operator):
    run = make_run()
    dataset = run.dataset
    passed = make_sample_draw(run).completion
    accepted = make_sample_draw(run, outcome="accepted").completion
    refused = make_sample_draw(run, outcome="rejected", people_reasons=[Reason.TRIVIAL]).completion
    short = make_sample_draw(run, state="rejected", reasons=[Reason.TOO_SHORT], attempt=2)
    other = make_completion(
        make_sample(domain="Astronomy", title="Moons"),
        teacher="openai:gpt-4o",
        template_name="hypothesis",
        text="Tidal heating of ice shells",
        state="new",
    )
    assert passed
    assert accepted
    assert refused
    CompletionState.objects.filter(pk=passed.pk).update(flags=[Reason.HAZARD])
    assert short.completion
    low = short.completion.pk
    cases: list[tuple[dict[str, str | int], set[int]]] = [
        ({"dataset": dataset.name}, {passed.pk, accepted.pk, refused.pk, low}),
        ({"run": run.pk}, {passed.pk, accepted.pk, refused.pk, low}),
        ({"state": "rejected"}, {low}),
        ({"state": "new"}, {other.pk}),
        ({"label": "accepted"}, {accepted.pk}),
        ({"label": "none", "run": run.pk}, {passed.pk, low}),
        ({"state": "passed", "label": "rejected"}, {refused.pk}),
        ({"reason": "too_short"}, {low}),
        ({"reason": "trivial"}, {refused.pk}),
        ({"reason": "hazard"}, {passed.pk}),
        ({"stage": "rules"}, {low}),
        ({"stage": "review"}, {refused.pk}),
        ({"domain": "astronomy"}, {other.pk}),
        ({"template": "hypothesis"}, {other.pk}),
        ({"attempt": 2}, {low}),
        ({"teacher": "openai:gpt-4o"}, {other.pk}),
        ({"dataset": other.sample.dataset.name, "text": "tidal HEATING"}, {other.pk}),
        ({"dataset": dataset.name, "text": "100%_\\"}, set()),
    ]
    for query, wanted in cases:
        assert set(shown(operator, **query)) == wanted, query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"text": "soil"}, "Choose a dataset to search in."),
        ({"dataset": "nowhere"}, "There is no dataset “nowhere”."),
        ({"state": "failed"}, "Say of which run"),
        ({"state": "melted"}, "Select a valid choice"),
        ({"run": "x"}, "Enter a whole number"),
        ({"run": str(2**63)}, "less than or equal"),
    ],
)
def test_what_cannot_be_asked_is_explained(operator, query, words):
    response = operator.get(reverse(LIST), query)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert operator.get(reverse(DOWNLOAD), query).status_code == 400


def test_unknown_names_and_odd_pages_change_nothing(operator):
    made = make_completion().pk
    assert shown(operator, sample__text="x", order_by="text", after="0 OR 1=1") == [made]
    assert shown(operator, after=str(10**30)) == [made]


def test_a_search_looks_at_so_many_and_says_where_to_go_on(operator, monkeypatch):
    monkeypatch.setattr(completion_queries, "WINDOW", 3)
    dataset = make_dataset()
    wanted = make_completion(dataset=dataset, text="the rare word")
    for _ in range(4):
        make_completion(dataset=dataset)
    query = {"dataset": dataset.name, "text": "rare word"}
    first = operator.get(reverse(LIST), query)
    assert first.context["page"].rows == []
    assert b"Older ones may" in first.content
    second = {**query, "after": first.context["page"].next}
    assert shown(operator, **second) == [wanted.pk]


def test_counting_stops_at_a_thousand(operator, monkeypatch):
    monkeypatch.setattr(completion_queries, "MAX_COUNTED", 2)
    monkeypatch.setattr("distill.views.completions.MAX_COUNTED", 2)
    for _ in range(4):
        make_completion()
    assert "2+ completions" in " ".join(operator.get(reverse(LIST)).content.decode().split())


def test_failed_and_pending_sample_draws_of_a_run_are_listed(operator):
    run = make_run()
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="timeout")
    pending = make_sample_draw(run, state=SampleDraw.State.PENDING)
    failed = operator.get(reverse(LIST), {"run": run.pk, "state": "failed"}).content.decode()
    assert "Timeout" in failed
    assert pending.sample.title not in failed
    shown_pending = operator.get(reverse(LIST), {"run": run.pk, "state": "pending"})
    assert pending.sample.title in shown_pending.content.decode()


def test_htmx_gets_the_list_alone(operator):
    make_completion()
    headers = {"HX-Request": "true", "HX-Target": "found"}
    part = operator.get(reverse(LIST), headers=headers).content.decode()
    assert part.strip().startswith('<section id="found"')
    assert "<html" not in part
    assert "<html" in operator.get(reverse(LIST)).content.decode()


def test_text_is_never_html(operator):
    evil = "<script>alert(1)</script>"
    make_completion(make_sample(title=evil, domain=evil), fields={"hypothesis": evil}, teacher=evil)
    page = operator.get(reverse(LIST)).content.decode()
    assert evil not in page
    assert "&lt;script&gt;alert(1)" in page


def test_more_rows_take_no_more_queries(operator, django_assert_num_queries):
    for _ in range(3):
        make_label(make_completion())
    # Session, user, role, datasets of the form; ids and rows of the page, the count.
    with django_assert_num_queries(7):
        operator.get(reverse(LIST))
    for _ in range(10):
        make_label(make_completion())
    with django_assert_num_queries(7):
        operator.get(reverse(LIST))


def test_what_is_filtered_is_downloaded(operator, monkeypatch):
    monkeypatch.setattr(completion_queries, "_BATCH", 2)
    dataset = make_dataset()
    kept = [make_completion(dataset=dataset).key for _ in range(5)]
    make_completion()
    response = operator.get(reverse(DOWNLOAD), {"dataset": dataset.name})
    rows = [orjson.loads(line) for line in response.getvalue().splitlines()]
    assert [row["completion_id"] for row in rows] == kept[::-1]
    assert rows[0]["fields"]["hypothesis"].startswith("If soil moisture")
    assert "attachment" in response["Content-Disposition"]


def test_csv_is_no_formula(operator):
    sample = make_sample(title="=HYPERLINK(1)", domain="@SUM(A1)")
    make_label(make_completion(sample, text="-1+1"), outcome="rejected", reasons=[Reason.TRIVIAL])
    response = operator.get(reverse(DOWNLOAD), {"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(response.getvalue().decode()))
    assert row["title"] == "'=HYPERLINK(1)"
    assert row["domain"] == "'@SUM(A1)"
    assert row["teacher_output"] == "'-1+1"
    assert row["label_reasons"] == '["trivial"]'


def test_another_format_is_refused(operator):
    assert operator.get(reverse(DOWNLOAD), {"format": "exe"}).status_code == 400
