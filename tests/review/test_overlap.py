"""How many people look at which completion, and in which order the slots come."""

from __future__ import annotations

import uuid

import pytest
from django.db.models import Count, F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.logic.gate import GateConfig
from distill.logic.reasons import FLAGS, Reason
from distill.models import Completion, CompletionState
from distill.services.decide import record_decision
from review.logic.priority import CAUSES, NEAR, label_of, weigh
from review.logic.queue_filter import QueueFilter
from review.models import Queue, Slot
from review.queries.matching import min_mean_of
from review.services.fill import fill_queue
from tests.builders import (
    make_completion,
    make_dataset,
    make_queue,
    make_recipe,
    make_run,
    make_sample,
    make_user,
)

pytestmark = pytest.mark.django_db


def make_many(dataset, count: int) -> None:
    sample = make_sample(dataset)
    made = Completion.objects.bulk_create(
        Completion(sample=sample, key=uuid.UUID(int=number * 7919).hex, teacher="offline:x")
        for number in range(count)
    )
    CompletionState.objects.bulk_create(
        CompletionState(completion=one, dataset=dataset, state="passed", mean_score=0.9)
        for one in made
    )


def shared_queue(dataset, **fields) -> Queue:
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=3)
    Queue.objects.filter(pk=queue.pk).update(**fields)
    queue.slots.all().delete()
    fill_queue(queue_id=queue.pk)
    return queue


def chosen(queue) -> list[tuple[object, ...]]:
    rows = queue.slots.order_by("completion", "number")
    return list(
        rows.values_list("completion", "number", "required_reviews", "priority", "is_random")
    )


def test_the_shares_come_out_and_the_same_are_chosen_each_time():
    dataset = make_dataset()
    make_many(dataset, 2000)
    queue = shared_queue(dataset, overlap_share=20, random_share=15)
    before = chosen(queue)
    of_each = queue.slots.values("completion").annotate(
        num=Count("pk"), wanted=F("required_reviews"), drawn=F("is_random")
    )
    assert len(of_each) == 2000
    assert all(row["num"] == row["wanted"] for row in of_each)
    several = [row for row in of_each if row["wanted"] == 3]
    drawn = [row for row in of_each if row["drawn"]]
    assert 340 <= len(several) <= 460
    assert 240 <= len(drawn) <= 360
    # One choice says nothing of the other, and neither says where in its stream one comes.
    assert 30 <= sum(row["drawn"] for row in several) <= 95
    places = Slot.objects.filter(queue=queue, is_random=True).values_list("priority", flat=True)
    assert 0 <= min(places) < 0.05
    assert 0.95 < max(places) < 1
    assert 0.45 < sum(places) / len(places) < 0.55
    assert not Slot.objects.filter(queue=queue, is_random=False).exclude(priority=0).exists()
    fill_queue(queue_id=queue.pk)
    assert chosen(queue) == before
    queue.slots.all().delete()
    fill_queue(queue_id=queue.pk)
    assert chosen(queue) == before


@pytest.mark.parametrize("share", [0, 100])
def test_none_or_all_are_shared(share):
    dataset = make_dataset()
    make_many(dataset, 20)
    queue = shared_queue(dataset, overlap_share=share, random_share=0)
    assert queue.slots.count() == (60 if share else 20)
    assert not queue.slots.filter(is_random=True).exists()


def test_one_review_is_enough_of_what_is_not_shared():
    dataset = make_dataset()
    completion = make_completion(dataset=dataset)
    queue = shared_queue(dataset, overlap_share=0)
    record_decision(
        completion_id=completion.pk,
        reviewer=make_user("reviewer"),
        kind="accept",
        client_id=uuid.uuid4(),
    )
    fill_queue(queue_id=queue.pk)
    assert list(queue.slots.values_list("state", flat=True)) == ["superseded"]


def run_with_gate(dataset, min_mean: float) -> None:
    make_run(dataset, recipe=make_recipe(name=dataset.name, gate=GateConfig(min_mean=min_mean)))


def test_what_helps_most_comes_first_and_says_why():
    dataset = make_dataset()
    run_with_gate(dataset, 0.7)
    assert min_mean_of(dataset.pk) == 0.7
    plain = make_completion(dataset=dataset, mean_score=0.9)
    again = make_completion(dataset=dataset, mean_score=0.9, attempt=2)
    near = make_completion(dataset=dataset, mean_score=0.75)
    disagreed = make_completion(dataset=dataset, mean_score=0.9)
    flagged = make_completion(dataset=dataset, mean_score=None)
    CompletionState.objects.filter(pk=disagreed.pk).update(flags=[Reason.JUDGES_DISAGREE])
    CompletionState.objects.filter(pk=flagged.pk).update(flags=[Reason.HAZARD])
    queue = shared_queue(dataset, required_reviews=1, random_share=0)
    found = queue.slots.order_by(F("priority").desc(), "id")
    assert list(found.values_list("completion", "why")) == [
        (flagged.pk, "flagged"),
        (disagreed.pk, "disagreed"),
        (near.pk, "near_threshold"),
        (again.pk, "regenerated"),
        (plain.pk, ""),
    ]
    assert label_of("flagged")
    assert not label_of("")


def test_a_flag_that_is_raised_later_moves_the_slot():
    queue = make_queue(2)
    Queue.objects.update(random_share=0)
    _first, second = queue.slots.order_by("id")
    CompletionState.objects.filter(pk=second.completion_id).update(flags=[Reason.SAFETY])
    assert fill_queue(queue_id=queue.pk) == 0
    second.refresh_from_db()
    assert (second.why, second.priority, second.state) == ("flagged", 8, "open")


FEW = sorted(FLAGS)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    flags=st.sets(st.sampled_from(FEW)),
    mean_score=st.none() | st.floats(0, 1),
    attempt=st.integers(1, 3),
)
def test_logic_and_database_weigh_alike(one_slot, flags, mean_score, attempt):
    completion, queue = one_slot
    CompletionState.objects.filter(pk=completion.pk).update(
        flags=sorted(flags), mean_score=mean_score
    )
    fill_queue(queue_id=queue.pk)
    slot = queue.slots.get()
    assert (slot.priority, slot.why) == weigh(
        flags=flags, mean_score=mean_score, min_mean=0.8, attempt=completion.attempt
    )


@pytest.fixture
def one_slot(db):
    dataset = make_dataset()
    run_with_gate(dataset, 0.8)
    completion = make_completion(dataset=dataset, attempt=2)
    return completion, shared_queue(dataset, required_reviews=1, random_share=0)


def test_each_cause_outweighs_all_below_it():
    for place, cause in enumerate(CAUSES):
        assert cause.weight > sum(below.weight for below in CAUSES[place + 1 :])
    assert weigh(flags=(), mean_score=0.8 + NEAR, min_mean=0.8, attempt=1) == (2, "near_threshold")
    assert weigh(flags=(), mean_score=0.86, min_mean=0.8, attempt=1) == (0, "")
    assert weigh(flags=(), mean_score=0.8, min_mean=None, attempt=1) == (0, "")


def test_near_takes_what_the_gate_is_unsure_of():
    dataset = make_dataset()
    near = make_completion(dataset=dataset, state="rejected", mean_score=0.66)
    make_completion(dataset=dataset, mean_score=0.8)
    make_completion(dataset=dataset, mean_score=None)
    wanted = QueueFilter(gate="both", near=0.05)
    assert "within 0.05 of the gate's threshold" in wanted.describe()
    queue = make_queue(0, dataset=dataset, wanted=wanted)
    assert not queue.slots.exists(), "no gate has looked"
    run_with_gate(dataset, 0.7)
    fill_queue(queue_id=queue.pk)
    assert queue.slots.get().completion == near
