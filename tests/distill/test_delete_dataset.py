"""Deleting a dataset takes everything of it, and nothing of others."""

from __future__ import annotations

import pytest
from django.db import connections
from django.urls import reverse

from distill import tasks
from distill.logic.errors import ConflictError
from distill.models import Call, Completion, Dataset, Decision, Reply, Run, Sample
from distill.services.delete_dataset import delete_dataset
from distill.services.ingest.run import import_lock
from tests.builders import (
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_run,
    make_sample,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db


def make_call(run, number):
    call = Call.objects.create(key=bytes([number]) * 32, teacher="offline:extractive")
    purchase = call.purchases.create(number=1, run=run, expires_at=run.created_at)
    Reply.objects.create(purchase=purchase, call=call, outcome="accepted", raw=b"{}")
    return call


@pytest.fixture
def full():
    """A dataset with one of everything, and another that shares one of its two calls."""
    dataset, other = make_dataset("soil"), make_dataset("other")
    run = make_run(dataset, state=Run.State.DONE)
    own, shared = make_call(run, 1), make_call(run, 2)
    completion = make_completion(make_sample(dataset), call=own)
    make_judgement(completion, call=shared)
    make_verdict(completion, run)
    make_label(completion)
    make_completion(make_sample(dataset), parent=None, call=shared)
    make_completion(make_sample(other), call=shared)
    return dataset


def test_everything_of_it_goes_and_nothing_else(full):
    delete_dataset(dataset_id=full.pk)
    assert [dataset.name for dataset in Dataset.objects.all()] == ["other"]
    assert Sample.objects.count() == Completion.objects.count() == 1
    assert not Decision.objects.exists()
    assert not Run.objects.exists()
    assert [bytes(call.key)[0] for call in Call.objects.all()] == [2]
    assert Reply.objects.count() == 1


def test_calls_that_nobody_got_an_answer_to_go_with_their_run(full):
    own, other = full.runs.get(), make_run(state=Run.State.RUNNING)
    for number, runs in ((7, [own]), (8, [own, other])):
        call = Call.objects.create(key=bytes([number]) * 32, teacher="offline:extractive")
        for sending, run in enumerate(runs, 1):
            call.purchases.create(number=sending, run=run, expires_at=run.created_at)
        purchase = call.purchases.earliest("number")
        Reply.objects.create(purchase=purchase, call=call, outcome="server", raw=b"<html>")
    delete_dataset(dataset_id=full.pk)
    kept = sorted(bytes(call.key)[0] for call in Call.objects.all())
    assert kept == [2, 8], "another run has sent 8 too, and may still be waiting"


def test_twice_is_harmless(full):
    delete_dataset(dataset_id=full.pk)
    delete_dataset(dataset_id=full.pk)
    tasks.run_delete_dataset(full.pk)
    assert Dataset.objects.count() == 1


def test_not_while_a_run_works_on_it(full):
    Run.objects.update(state=Run.State.RUNNING)
    with pytest.raises(ConflictError, match="Stop it"):
        delete_dataset(dataset_id=full.pk)
    assert Sample.objects.filter(dataset=full).count() == 2


@pytest.mark.django_db(transaction=True)
def test_not_while_a_file_is_imported(full):
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [0x6E65_7861, full.pk])
            with pytest.raises(ConflictError, match="being imported"):
                delete_dataset(dataset_id=full.pk)
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()
    with import_lock(full.pk, wait=False):
        pass


def test_the_page_asks_for_the_name(client, full):
    client.force_login(make_user("operator"))
    url = reverse("distill:delete_dataset", args=[full.pk])
    assert "This cannot be taken back" in client.get(url).text
    page = client.post(url, {"name": "soill"})
    assert page.status_code == 422
    assert "nothing was deleted" in page.text
    Run.objects.update(state=Run.State.RUNNING)
    assert "Stop it" in client.post(url, {"name": "soil"}).text
    Run.objects.update(state=Run.State.DONE)
    page = client.post(url, {"name": "soil"}, follow=True)
    assert page.redirect_chain == [(reverse("distill:datasets"), 302)]
    assert "soil was deleted" in page.text
    assert client.post(url, {"name": "soil"}).status_code == 404


def test_only_operators_delete(client, full):
    url = reverse("distill:delete_dataset", args=[full.pk])
    client.force_login(make_user("lead"))
    assert client.post(url, {"name": "soil"}).status_code == 403
    assert Dataset.objects.filter(pk=full.pk).exists()


def test_a_large_one_is_deleted_by_a_worker(client, full, monkeypatch):
    enqueued = []
    monkeypatch.setattr(tasks, "async_task", lambda *args, **options: enqueued.append(args))
    full.source_files.update(rows_kept=1_000_000)
    client.force_login(make_user("operator"))
    client.post(reverse("distill:delete_dataset", args=[full.pk]), {"name": "soil"})
    assert enqueued == [(tasks.run_delete_dataset, full.pk)]
    enqueued[0][0](*enqueued[0][1:])
    assert not Dataset.objects.filter(pk=full.pk).exists()
