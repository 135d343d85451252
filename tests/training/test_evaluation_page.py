"""The page of an evaluation: progress, the card, answers side by side; start, stop, downloads."""

from __future__ import annotations

import orjson
import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from tests.builders import make_dataset, make_user
from tests.training.trained import (
    follow,
    make_held_out,
    make_trained,
    plain_recipe,
)
from training.models import Evaluation, TrainingRun
from training.services.start_evaluation import start_evaluation

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert(1)</script>"
# Where no thread looks on: a rollback is quicker than emptying all tables.
IN_ONE_TRANSACTION = pytest.mark.django_db(transaction=False)


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


def queued(num_samples: int = 4, **fields) -> Evaluation:
    dataset = make_dataset()
    make_held_out(dataset, num_samples)
    run = make_trained(dataset, **fields)
    return start_evaluation(training_run=run, recipe=plain_recipe())


def done(num_samples: int = 4, **fields) -> Evaluation:
    evaluation = queued(num_samples, **fields)
    follow(evaluation)
    return evaluation


def address(evaluation: Evaluation, name: str = "evaluation") -> str:
    return reverse(f"training:{name}", args=[evaluation.pk])


def test_the_card_says_first_what_was_found(operator: Client) -> None:
    evaluation = done(12)
    page = operator.get(address(evaluation)).text
    assert "The student learned" in page
    assert "12 of 12 = 100.0 %" in page
    assert "8.250" in page
    assert "12 samples" in page
    for role in ("student", "base"):
        run = evaluation.contenders.get(role=role).run
        assert reverse("distill:run", args=[run.pk]) in page
    student = evaluation.report["samples"][0]["student"]["completion"]
    assert reverse("distill:completion", args=[student]) in page


def test_while_it_goes_on_the_page_asks_for_itself_and_then_stops(operator: Client) -> None:
    evaluation = queued()
    headers = {"HX-Request": "true", "HX-Target": "evaluation-live"}
    page = operator.get(address(evaluation)).text
    assert 'hx-trigger="every 2s"' in page
    assert "waits for a" in page
    part = operator.get(address(evaluation), headers=headers)
    assert part.status_code == 200
    assert "<html" not in part.text
    Evaluation.objects.filter(pk=evaluation.pk).update(
        state="answering", num_answered=3, num_wanted=8
    )
    assert "Answers of student and base" in operator.get(address(evaluation)).text
    Evaluation.objects.filter(pk=evaluation.pk).update(state="queued")
    follow(evaluation)
    part = operator.get(address(evaluation), headers=headers)
    assert part.status_code == 286
    assert "every 2s" not in part.text
    assert "No difference" in part.text or "n too small" in part.text


def test_samples_can_be_narrowed_and_paged_with_and_without_htmx(operator: Client) -> None:
    evaluation = done(5)
    assert operator.get(address(evaluation)).text.count('id="sample-') == 3
    assert operator.get(address(evaluation), {"start": 3}).text.count('id="sample-') == 2
    assert operator.get(address(evaluation), {"only": "differ"}).text.count('id="sample-') == 3
    failed = operator.get(address(evaluation), {"only": "failed"}).text
    assert "No sample is of this kind" in failed
    part = operator.get(
        address(evaluation),
        {"only": "differ", "start": "3"},
        headers={"HX-Request": "true", "HX-Target": "evaluation-samples"},
    )
    assert part.status_code == 200
    assert "Side by side" in part.text
    assert "<html" not in part.text
    for odd in ("only=x", "start=-1", "start=999", "start=a"):
        assert operator.get(f"{address(evaluation)}?{odd}").status_code == 200


def test_texts_from_outside_are_texts(operator: Client) -> None:
    evaluation = done(1, name=HOSTILE)
    report = evaluation.report
    report["notes"] = [HOSTILE]
    report["standings"][0]["name"] = HOSTILE
    Evaluation.objects.filter(pk=evaluation.pk).update(report=report, message=HOSTILE)
    page = operator.get(address(evaluation)).text
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 3


def test_the_page_asks_few_questions_of_the_database(
    operator: Client, django_assert_max_num_queries
) -> None:
    evaluation = done(5)
    with django_assert_max_num_queries(12):
        operator.get(address(evaluation))


@IN_ONE_TRANSACTION
def test_starting_queues_it_and_hands_it_to_a_worker_once(operator: Client) -> None:
    dataset = make_dataset()
    make_held_out(dataset, 2)
    run = make_trained(dataset)
    url = reverse("training:start_evaluation", args=[run.pk])
    for _ in range(2):
        response = operator.post(url, {"sample_limit": 2})
        evaluation = Evaluation.objects.get()
        assert response.headers["Location"] == address(evaluation)
    assert evaluation.sample_limit == 2
    assert {task.key for task in OrmQ.objects.all()} == {"gpu"}


@IN_ONE_TRANSACTION
@pytest.mark.parametrize("limit", ["0", "x", "99999"])
def test_what_cannot_be_started_is_said_on_the_page_of_the_training(
    operator: Client, limit: str
) -> None:
    run = make_trained(state=TrainingRun.State.STOPPED)
    url = reverse("training:start_evaluation", args=[run.pk])
    page = operator.post(url, {"sample_limit": limit}, follow=True).text
    assert "Nothing was started: sample_limit" in page
    page = operator.post(url, follow=True).text
    assert "only a student that is done" in page
    assert not Evaluation.objects.exists()


@IN_ONE_TRANSACTION
def test_stopping_twice_says_so(operator: Client) -> None:
    evaluation = queued()
    url = address(evaluation, "stop_evaluation")
    assert "was stopped" in operator.post(url, follow=True).text
    page = operator.post(url, follow=True).text
    assert "Nothing was changed" in page
    assert "Go on" in page


def test_the_card_is_downloaded_as_json_and_as_markdown(operator: Client) -> None:
    evaluation = queued()
    names = ("download_report_json", "download_report_markdown")
    for name in names:
        assert operator.get(address(evaluation, name)).status_code == 404
    follow(evaluation)
    found, text = (operator.get(address(evaluation, name)) for name in names)
    assert orjson.loads(found.content)["verdict"] == evaluation.report["verdict"]
    assert "attachment" in found.headers["Content-Disposition"]
    assert text.text.startswith(f"# Report card: evaluation {evaluation.pk}")


def test_a_reviewer_sees_none_of_it_and_a_lead_changes_nothing(client: Client) -> None:
    evaluation = done(1)
    client.force_login(make_user("reviewer"))
    assert client.get(address(evaluation)).status_code == 403
    client.force_login(make_user("lead"))
    assert client.get(address(evaluation)).status_code == 200
    assert client.post(address(evaluation, "stop_evaluation")).status_code == 403
    start = reverse("training:start_evaluation", args=[evaluation.training_run_id])
    assert client.post(start).status_code == 403
