"""Starting a training from the site: choose, look, start; a second click starts no second one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from distill.models import Export, Sample
from distill.queries.exports import ExportView
from distill.services.export import export_dataset
from nexa_site.services.bootstrap import create_roles
from tests.builders import make_completion, make_dataset, make_sample, make_training_run, make_user
from training.models import TrainingRun

pytestmark = pytest.mark.django_db

URL = "/training/start/"
CONFIG = "name: mine\nepochs: 2\ntags: [one]\n"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def export() -> Export:
    dataset = make_dataset("reefs")
    for split in (*["train"] * 6, "validation"):
        make_completion(make_sample(dataset, split=Sample.Split(split)))
    return export_dataset(dataset=dataset, policy="gate")


def _form(chosen: Export, **changes: object) -> dict[str, object]:
    form: dict[str, object] = {
        "export": chosen.pk,
        "config": "baseline",
        "document": CONFIG,
        "tags": "two, three",
    }
    return form | changes


def test_without_an_export_it_says_where_to_make_one(operator: Client) -> None:
    page = operator.get(URL).text
    assert "There is nothing to train on yet" in page
    assert reverse("distill:exports") in page


def test_it_offers_exports_newest_first_with_their_rows(operator: Client, export: Export) -> None:
    other = export_dataset(dataset=make_completion().sample.dataset, policy="gate")
    page = operator.get(URL).text
    assert "reefs v1: 6 train, 1 validation, 0 test (passed the gate)" in page
    assert page.index(f'value="{other.pk}"') < page.index(f'value="{export.pk}"')
    chosen = operator.get(URL, {"export": export.pk}).text
    assert f'value="{export.pk}" selected' in chosen


def test_it_starts_from_a_shipped_config_or_an_earlier_run(
    operator: Client, export: Export
) -> None:
    assert "epochs" in operator.get(URL).text
    run = make_training_run(export, tags=["earlier"])
    page = operator.get(URL, {"like": run.pk}).text
    assert f"Like training run {run.pk}" in page
    assert "- earlier" in page or "[earlier]" in page
    assert operator.get(URL, {"like": "9" * 40, "export": "x"}).status_code == 200


def test_loading_a_config_replaces_the_text_and_starts_nothing(
    operator: Client, export: Export
) -> None:
    run = make_training_run(export, name="earlier")
    form = _form(export, action="load", config=f"like-{run.pk}", document="what was typed")
    headers = {"HX-Request": "true", "HX-Target": "training-choice"}
    page = operator.post(URL, form, headers=headers)
    assert page.status_code == 200
    assert "what was typed" not in page.text
    assert "learning_rate" in page.text
    assert "<html" not in page.text
    assert operator.post(URL, form).text.count("<html") == 1
    assert TrainingRun.objects.count() == 1


def test_the_estimate_says_what_it_assumes(operator: Client, export: Export) -> None:
    headers = {"HX-Request": "true", "HX-Target": "training-estimate"}
    page = operator.post(URL, _form(export, action="preview"), headers=headers).text
    assert "<b>4</b>" in page, "two epochs of six rows, four a step"
    assert "four characters for a token" in page
    assert "Nothing is in test." in page
    assert "offline stand-in" in page
    assert "about a minute on a CPU" in page
    assert not TrainingRun.objects.exists()


def test_a_measured_pace_becomes_the_time(operator: Client, export: Export) -> None:
    now = timezone.now()
    run = make_training_run(
        export,
        num_steps=4,
        state=TrainingRun.State.DONE,
        started_at=now - timedelta(seconds=2),
        finished_at=now,
    )
    page = operator.post(URL, _form(export, action="preview")).text
    assert f"training run {run.pk}</a>" in page
    assert "100 tokens a second" in page


def test_starting_creates_enqueues_and_leads_to_the_run(operator: Client, export: Export) -> None:
    response = operator.post(URL, _form(export))
    run = TrainingRun.objects.get()
    assert response.headers["Location"] == reverse("training:training_run", args=[run.pk])
    assert (run.name, run.export, run.state) == ("mine", export, "queued")
    assert run.tags == ["one", "two", "three"]
    assert run.spec["epochs"] == 2
    assert run.created_by is not None
    assert OrmQ.objects.count() == 1


def test_a_second_click_starts_no_second_one(operator: Client, export: Export) -> None:
    first, second = (operator.post(URL, _form(export)) for _click in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert TrainingRun.objects.count() == OrmQ.objects.count() == 1
    assert "doing exactly this already" in operator.get(second.headers["Location"]).text
    operator.post(URL, _form(export, tags="another"))
    assert TrainingRun.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"document": "epochs: many\n"}, "line 1, epochs: must be a number from 0.01 to 1000"),
        ({"document": "a: 1\nepoch: 3\n"}, "line 2: unknown key"),
        ({"document": ""}, "This field is required"),
        ({"tags": "<b>"}, "A tag has letters"),
        ({"export": 10**30}, "Select a valid choice"),
        ({"document": "student: /no/such/folder\n"}, "The student&#x27;s folder"),
    ],
)
def test_what_cannot_be_used_is_said_and_what_was_typed_is_kept(
    operator: Client, export: Export, changes: dict[str, object], words: str
) -> None:
    form = _form(export, **changes)
    page = operator.post(URL, form)
    assert page.status_code == 422
    assert words in page.text
    assert str(form["document"]).partition("\n")[0] in page.text
    assert not TrainingRun.objects.exists()
    assert not OrmQ.objects.exists()


def test_an_export_whose_files_are_gone_is_refused(operator: Client, export: Export) -> None:
    (ExportView(export).folder / "train.jsonl").unlink()
    page = operator.post(URL, _form(export))
    assert page.status_code == 422
    assert "is gone" in page.text


def test_only_operators_may(client: Client, export: Export) -> None:
    for role in ("lead", "reviewer"):
        client.force_login(make_user(role))
        assert client.get(URL).status_code == 403
        assert client.post(URL, _form(export)).status_code == 403
    assert not TrainingRun.objects.exists()


def test_pages_of_exports_and_datasets_lead_here(client: Client, export: Export) -> None:
    wanted = f"{URL}?export={export.pk}"
    pages = (
        reverse("distill:export", args=[export.pk]),
        reverse("distill:dataset", args=[export.dataset_id]),
    )
    found: dict[str, list[bool]] = {}
    for role in ("operator", "lead"):
        client.force_login(make_user(role))
        found[role] = [wanted in client.get(page).text for page in pages]
    # The dataset's link stands beside its runs, of which this one has none.
    assert found == {"operator": [True, False], "lead": [False, False]}


def _post_action(client: Client, name: str, objects: list[Any]) -> Any:
    url = reverse("admin:distill_export_changelist")
    chosen = [one.pk for one in objects]
    return client.post(url, {"action": name, "_selected_action": chosen}, follow=True)


def test_the_admin_trains_on_exports(operator: Client, export: Export) -> None:
    create_roles()
    assert "is queued" in _post_action(operator, "train_student", [export]).text
    assert "is doing exactly this already" in _post_action(operator, "train_student", [export]).text
    assert TrainingRun.objects.count() == 1
    assert TrainingRun.objects.get().export == export
    assert OrmQ.objects.count() == 1


def test_a_lead_does_not_train_from_the_admin(client: Client, export: Export) -> None:
    create_roles()
    client.force_login(make_user("lead"))
    _post_action(client, "train_student", [export])
    assert not TrainingRun.objects.exists()
