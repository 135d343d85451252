"""Queues follow the gate: nobody has to open or fill them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from distill.models import CompletionState, Run
from distill.services.ingest import dataset_for_file
from review import tasks
from review.models import Queue, Slot
from review.services.fill import fill_queues
from review.services.follow import RECENT
from tests.builders import make_completion, make_dataset, make_label, make_run, make_user

pytestmark = pytest.mark.django_db


def test_the_list_opens_the_queue_of_what_has_passed(client: Client) -> None:
    dataset = make_completion().sample.dataset
    make_completion(state="rejected")
    client.force_login(make_user("reviewer"))
    page = client.get(reverse("review:queues"))
    assert dataset.name in page.content.decode()
    assert Queue.objects.get().dataset == dataset
    assert Slot.objects.count() == 1


def test_a_running_runs_queue_is_filled_again() -> None:
    dataset = make_completion().sample.dataset
    make_run(dataset=dataset, state=Run.State.RUNNING)
    tasks.run_follow()
    make_completion(dataset=dataset)
    for _ in range(2):
        tasks.run_follow()
    assert Slot.objects.count() == 2


def test_the_table_of_one_stage_gets_no_queue_but_a_file_of_the_pipeline_does(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "passed.parquet"
    path.write_bytes(b"any")
    dataset = dataset_for_file(path)
    make_completion(dataset=dataset)
    make_run(dataset=dataset, kind=Run.Kind.GATE, state=Run.State.RUNNING)
    client.force_login(make_user("reviewer"))
    client.get(reverse("review:queues"))
    tasks.run_follow()
    assert not Queue.objects.exists()
    make_run(dataset=dataset, kind=Run.Kind.PIPELINE, state=Run.State.RUNNING)
    tasks.run_follow()
    assert Slot.objects.count() == 1


def test_what_the_gate_takes_back_leaves_the_queue_and_may_return() -> None:
    completion = make_completion()
    state = CompletionState.objects.filter(pk=completion.pk)
    slots = Slot.objects.filter(completion=completion).values_list("state", flat=True)
    for changed, expected in (
        ({"state": "passed"}, Slot.State.OPEN),
        ({"state": "rejected"}, Slot.State.SUPERSEDED),
        ({"state": "passed"}, Slot.State.OPEN),
        ({"is_open": False}, Slot.State.SUPERSEDED),
        ({"is_open": True}, Slot.State.OPEN),
    ):
        state.update(**changed)
        for _ in range(2):
            fill_queues(dataset_id=completion.sample.dataset_id)
        assert list(slots.all()) == [expected], changed


def test_what_has_a_label_does_not_return_to_the_queue() -> None:
    completion = make_completion()
    fill_queues(dataset_id=completion.sample.dataset_id)
    Slot.objects.update(state=Slot.State.SUPERSEDED)
    make_label(completion)
    fill_queues(dataset_id=completion.sample.dataset_id)
    assert Slot.objects.get().state == Slot.State.SUPERSEDED


def test_a_run_that_ended_long_ago_is_left_alone() -> None:
    dataset = make_dataset()
    Queue.objects.create(dataset=dataset, name="any", is_default=True)
    ended = timezone.now() - 2 * RECENT
    make_run(dataset=dataset, state=Run.State.DONE, finished_at=ended)
    make_completion(dataset=dataset)
    tasks.run_follow()
    assert Slot.objects.count() == 0
    make_run(dataset=dataset, state=Run.State.DONE, finished_at=ended + 2 * RECENT)
    tasks.run_follow()
    assert Slot.objects.count() == 1
