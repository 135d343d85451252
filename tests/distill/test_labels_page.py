"""Labels on the dataset's page: downloads, files on the server, and the way to a regeneration."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from distill import tasks
from distill.logic.reasons import Reason
from distill.models import Dataset, Run
from distill.services.decide import record_decision
from distill.services.labels import labels_folder
from distill.views import labels as labels_views
from tests.builders import (
    make_completion,
    make_label,
    make_recipe,
    make_run,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db

NOTE = "<script>alert(1)</script> Name the dose."


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def dataset() -> Dataset:
    """One accepted, one rejected by a person with a note, one rejected by the gate."""
    run = make_run()
    make_label(make_completion(dataset=run.dataset))
    rejected = make_completion(dataset=run.dataset)
    make_label(rejected, outcome="rejected", reasons=[Reason.NOT_FALSIFIABLE])
    gated = make_completion(dataset=run.dataset, state="rejected", reasons=[Reason.CITATION])
    make_verdict(gated, run, reasons=[Reason.CITATION])
    return run.dataset


def content_of(client: Client, dataset: Dataset, name: str) -> list[dict[str, object]]:
    response = client.get(reverse("distill:download_labels", args=[dataset.pk, name]))
    assert response.streaming
    assert "attachment" in response.headers["Content-Disposition"]
    return [orjson.loads(line) for line in response.getvalue().splitlines()]


def test_each_file_can_be_downloaded(operator: Client, dataset: Dataset) -> None:
    assert [line["decision"] for line in content_of(operator, dataset, "accepted")] == ["accept"]
    (rejected,) = content_of(operator, dataset, "rejected")
    assert rejected["reasons"] == ["not_falsifiable"]
    assert len(content_of(operator, dataset, "decisions")) == 2
    other = reverse("distill:download_labels", args=[dataset.pk, "others"])
    assert operator.get(other).status_code == 404


def test_the_files_are_written_on_the_server_once_or_twice(
    operator: Client, dataset: Dataset
) -> None:
    address = reverse("distill:write_labels", args=[dataset.pk])
    for _ in range(2):
        response = operator.post(address, follow=True)
        assert "accepted.jsonl (1), rejected.jsonl (1)" in response.text
    assert (labels_folder(dataset) / "accepted.jsonl").exists()


def test_what_cannot_be_written_is_said(operator: Client, dataset: Dataset) -> None:
    folder: Path = labels_folder(dataset)
    folder.mkdir(parents=True)
    (folder / "2025-01-01.jsonl").write_text('{"index": 1}\n')
    response = operator.post(reverse("distill:write_labels", args=[dataset.pk]), follow=True)
    assert "was not written by this program" in response.text


def test_many_labels_are_written_by_a_worker(
    operator: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[tuple[Callable[..., None], tuple[object, ...]]] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *given: queued.append((task, given)))
    monkeypatch.setattr(labels_views, "AT_ONCE", 1)
    response = operator.post(reverse("distill:write_labels", args=[dataset.pk]), follow=True)
    assert "are being written" in response.text
    ((task, given),) = queued
    for _ in range(2):
        task(*given)
    assert (labels_folder(dataset) / "rejected.jsonl").exists()
    task(0)


# --- the way to a regeneration ---


def test_the_dataset_leads_to_the_regeneration_of_what_people_rejected(
    operator: Client, dataset: Dataset
) -> None:
    page = operator.get(reverse("distill:dataset", args=[dataset.pk])).text
    assert "Regenerate what people rejected (1)" in page
    address = f"{reverse('distill:start_run')}?dataset={dataset.pk}&kind=regenerate"
    assert f"{address}&rejected_by=people".replace("&", "&amp;") in page
    start = operator.get(f"{address}&rejected_by=people").text
    assert "Rejected, to be asked again" in start
    assert "- not_falsifiable: Not falsifiable" in start
    assert "- citation:" not in start


def test_a_lead_reads_but_starts_nothing(client: Client, dataset: Dataset) -> None:
    client.force_login(make_user("lead"))
    page = client.get(reverse("distill:dataset", args=[dataset.pk])).text
    assert "What people decided" in page
    assert "Regenerate what people rejected" not in page


def test_a_run_is_started_for_whose_rejections_and_reasons_were_chosen(
    operator: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda *_: None)
    form = {
        "dataset": dataset.pk,
        "recipe": make_recipe().pk,
        "kind": "regenerate",
        "rejected_by": "people",
        "reasons": ["unsafe", "not_falsifiable"],
    }
    assert operator.post(reverse("distill:start_run"), form).status_code == 302
    run = Run.objects.latest("id")
    assert (run.kind, run.rejected_by) == ("regenerate", "people")
    assert run.reasons == ["not_falsifiable", "unsafe"]
    refused = operator.post(reverse("distill:start_run"), form)
    assert "is doing exactly this already" in refused.text
    assert operator.post(reverse("distill:start_run"), form | {"reasons": []}).status_code == 302
    odd = operator.post(reverse("distill:start_run"), form | {"reasons": ["nonsense"]})
    assert odd.status_code == 422


def test_another_kind_of_run_knows_no_choice_of_rejections(
    operator: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda *_: None)
    form = {"dataset": dataset.pk, "recipe": make_recipe().pk, "kind": "filter"}
    operator.post(reverse("distill:start_run"), form | {"rejected_by": "gate", "reasons": "unsafe"})
    run = Run.objects.latest("id")
    assert (run.rejected_by, run.reasons) == ("anybody", [])


def test_the_preview_shows_the_reviewers_words_as_text(operator: Client) -> None:
    run = make_run()
    completion = make_completion(dataset=run.dataset)
    record_decision(
        completion_id=completion.pk,
        reviewer=make_user("reviewer"),
        kind="reject",
        reasons=[Reason.TRIVIAL],
        note=NOTE,
        client_id=uuid.uuid4(),
    )
    form = {"dataset": run.dataset_id, "recipe": run.recipe_id, "kind": "regenerate"}
    page = operator.post(reverse("distill:start_run"), form | {"action": "preview"}).text
    assert "A reviewer&#x27;s notes:\n&lt;script&gt;alert(1)&lt;/script&gt; Name the dose." in page
    assert "<script>alert(1)" not in page
    nothing = operator.post(
        reverse("distill:start_run"), form | {"action": "preview", "rejected_by": "gate"}
    )
    assert "was rejected so and has attempts left" in nothing.text
