"""One sample × draw with its whole history, after a real run over the offline teacher."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import distill
from distill.logic.reasons import Reason
from distill.models import Call, Completion, Purchase, Run, Verdict
from distill.queries.history import completion_history
from distill.services.export import export_dataset
from distill.services.runs import create_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from tests.builders import (
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_user,
)

PASSAGES = Path(distill.__file__).parent / "demo" / "passages.jsonl"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


def run_pipeline(url: str, *, num_samples: int) -> Run:
    dataset = make_dataset()
    for line in PASSAGES.read_bytes().splitlines()[:num_samples]:
        passage = orjson.loads(line)
        make_sample(dataset, text=passage["text"], domain=passage["domain"], title="")
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.pk, offline_url=url)
    return run


@pytest.mark.django_db(transaction=True)
def test_a_real_run_is_told_and_proved_attempt_by_attempt(url, client):
    run = run_pipeline(url, num_samples=60)
    for first in Completion.objects.filter(sample__dataset=run.dataset, attempt=1)[:20]:
        for attempt in completion_history(first, now=timezone.now()).attempts:
            assert attempt.sent is not None
            assert attempt.sent.is_verified, attempt.completion
            assert [one.fate for one in attempt.sendings] == ["accepted"]

    second = Completion.objects.filter(attempt=2, judgements__isnull=False).first()
    assert second is not None
    client.force_login(make_user("lead"))
    page = client.get(reverse("distill:completion", args=[second.pk])).content.decode()
    assert page.count("(verified)") == 2
    assert "&lt;rejected_answer&gt;" in page
    assert "Falsifiability" in page
    assert "offline stand-in" in page
    verdict = Verdict.objects.filter(completion=second.parent_id).get()
    assert Reason(verdict.reasons[0]).label in page


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


@pytest.mark.django_db
def test_only_leads_and_operators_may_look(client):
    url = reverse("distill:completion", args=[make_completion().pk])
    assert client.get(url).status_code == 302
    client.force_login(make_user("reviewer"))
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403


@pytest.mark.django_db
def test_an_unknown_completion_is_a_404(operator):
    assert operator.get(reverse("distill:completion", args=[10**15])).status_code == 404


@pytest.mark.django_db
def test_what_a_rule_found_is_marked_and_stays_text(operator):
    hypothesis = "Soils <b>dry</b> out [12] in summer."
    start = hypothesis.index("[12]")
    run = make_run()
    completion = make_completion(
        make_sample(run.dataset), state="rejected", fields={"hypothesis": hypothesis}
    )
    Verdict.objects.create(
        completion=completion,
        recipe=run.recipe,
        run=run,
        passed=False,
        stage="rules",
        reasons=[Reason.CITATION],
        evidence=[
            {"reason": "citation", "detail": 'says "[12]"', "start": start, "end": start + 4}
        ],
    )
    page = operator.get(reverse("distill:completion", args=[completion.pk])).content.decode()
    assert "&lt;b&gt;dry&lt;/b&gt; out <mark" in page
    assert '">[12]</mark> in summer.' in page
    assert "<b>dry" not in page


@pytest.mark.django_db
def test_an_imported_answer_was_never_sent(operator):
    completion = make_completion(origin=Completion.Origin.IMPORTED, template_name="their own")
    page = operator.get(reverse("distill:completion", args=[completion.pk])).content.decode()
    assert "imported from a file" in page


@pytest.mark.django_db
def test_decisions_and_exports_are_told(operator, data_dir):
    completion = make_completion()
    reviewer = make_user("reviewer", name="marie")
    make_label(completion, reviewer=reviewer)
    export = export_dataset(dataset=completion.sample.dataset, policy="reviewed")
    page = operator.get(reverse("distill:completion", args=[completion.pk])).content.decode()
    assert "by marie" in page
    assert reverse("distill:export", args=[export.pk]) in page


@pytest.mark.django_db
def test_a_purchase_without_a_reply_is_possibly_billed_once_it_is_over(operator):
    run = make_run()
    call = Call.objects.create(key=b"k" * 32, teacher="offline:extractive")
    completion = make_completion(make_sample(run.dataset), call=call, recipe=run.recipe)
    now = timezone.now()
    for number, expires in enumerate((now - timedelta(hours=1), now + timedelta(hours=1)), 1):
        Purchase.objects.create(
            call=call, number=number, run=run, bound_nano=5_000_000, expires_at=expires
        )
    (attempt,) = completion_history(completion, now=now).attempts
    assert [one.fate for one in attempt.sendings] == ["possibly_billed", "in_flight"]
    assert attempt.sent is not None
    assert not attempt.sent.is_verified
    page = operator.get(reverse("distill:completion", args=[completion.pk])).content.decode()
    assert "Possibly billed" in page
    assert "(not verified)" in page
    assert "at most $0.0050" in page


@pytest.mark.django_db
def test_more_attempts_take_no_more_queries(operator, django_assert_num_queries):
    completion = make_completion(make_sample())
    make_judgement(completion)
    # Session, user, role, the completion, eight of its history less the purchases (no calls here).
    with django_assert_num_queries(10):
        operator.get(reverse("distill:completion", args=[completion.pk]))
    for attempt in range(2, 6):
        make_judgement(make_completion(completion.sample, attempt=attempt))
    with django_assert_num_queries(10):
        operator.get(reverse("distill:completion", args=[completion.pk]))


@pytest.mark.django_db
def test_a_flag_and_the_scores_that_decided_are_shown(client):
    run = make_run(make_dataset())
    completion = make_completion(dataset=run.dataset)
    Verdict.objects.create(
        completion=completion,
        recipe=run.recipe,
        run=run,
        passed=True,
        mean_score=0.85,
        scores={"mechanic": {"novelty": 0.7, "safety": 1.0}},
        flags=[Reason.HAZARD],
        evidence=[{"reason": Reason.HAZARD, "detail": "names a hazard"}],
        gate_version="gate-7",
    )
    client.force_login(make_user("operator"))
    page = client.get(reverse("distill:completion", args=[completion.pk])).content.decode()
    assert "names a hazard" in page
    assert "no export takes this completion before a person has accepted it" in page
    assert "Judge mechanic" in page
    assert "gate-7" in page
