"""Slots: filled from the gate, claimed once, released, never twice to the same person."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from distill.models import CompletionState, Decision
from distill.services.decide import record_decision
from review.logic.leases import LEASE
from review.models import Slot
from review.services.claim import claim_next
from review.services.fill import fill_queue, fill_queues
from review.services.release import release_expired
from review.services.settle import settle_slot
from review.services.take import take_cards
from tests.builders import let_read, make_completion, make_dataset, make_queue, make_user


def claim(queue, reviewer, *, count=1, now=None) -> list[Slot]:
    let_read(queue, reviewer)
    return claim_next(queue_id=queue.pk, reviewer=reviewer, count=count, now=now or timezone.now())


def decide(completion_id, reviewer, kind) -> Decision:
    return record_decision(
        completion_id=completion_id, reviewer=reviewer, kind=kind, client_id=uuid.uuid4()
    )


# --- filling ---


@pytest.mark.django_db
def test_filling_takes_what_passed_and_is_open_and_undecided():
    dataset = make_dataset()
    wanted = make_completion(dataset=dataset)
    make_completion(dataset=dataset, state=CompletionState.State.REJECTED)
    make_completion(dataset=dataset, is_open=False)
    decide(make_completion(dataset=dataset).pk, make_user("reviewer"), "accept")
    make_completion()
    assert fill_queues(dataset_id=dataset.pk) == 1
    slot = Slot.objects.get()
    assert (slot.completion, slot.number, slot.state) == (wanted, 1, "open")
    assert slot.queue.dataset == dataset


@pytest.mark.django_db
def test_filling_again_changes_nothing():
    queue = make_queue(3)
    assert fill_queue(queue_id=queue.pk) == 0
    assert Slot.objects.count() == 3


@pytest.mark.django_db
def test_a_completion_has_a_slot_for_each_wanted_review():
    make_queue(1, required_reviews=3)
    assert list(Slot.objects.order_by("number").values_list("number", flat=True)) == [1, 2, 3]


@pytest.mark.django_db
def test_a_later_attempt_closes_its_parents_open_slots():
    queue = make_queue(1, required_reviews=2)
    reviewer = make_user("reviewer")
    (claimed,) = claim(queue, reviewer)
    parent = claimed.completion
    CompletionState.objects.filter(completion=parent).update(is_open=False)
    child = make_completion(parent.sample, parent=parent, attempt=2)
    assert fill_queue(queue_id=queue.pk) == 2
    states = Slot.objects.order_by("number").values_list("state", flat=True)
    assert list(states.filter(completion=parent)) == ["claimed", "superseded"]
    assert list(states.filter(completion=child)) == ["open", "open"]


@pytest.mark.django_db
def test_a_replaced_completion_is_not_given_out_even_before_the_queue_knows():
    queue = make_queue(1)
    CompletionState.objects.update(is_open=False)
    assert claim(queue, make_user("reviewer")) == []


@pytest.mark.django_db(transaction=True)
def test_filling_at_the_same_time_opens_each_slot_once():
    dataset = make_dataset()
    for _ in range(20):
        make_completion(dataset=dataset)
    barrier = threading.Barrier(4)

    def fill(_: int) -> int:
        try:
            barrier.wait()
            return fill_queues(dataset_id=dataset.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(fill, range(4))) == 20
    assert Slot.objects.count() == 20


# --- claiming ---


@pytest.mark.django_db
def test_a_claim_gives_a_lease():
    queue, reviewer, now = make_queue(1), make_user("reviewer"), timezone.now()
    (slot,) = claim(queue, reviewer, now=now)
    stored = Slot.objects.get()
    assert (stored.state, stored.reviewer, stored.lease_until) == ("claimed", reviewer, now + LEASE)
    assert stored.lease_token == slot.lease_token is not None


@pytest.mark.django_db
def test_the_highest_priority_comes_first_then_the_oldest():
    queue = make_queue(4)
    first, second, third, _ = Slot.objects.order_by("id")
    Slot.objects.filter(pk=third.pk).update(priority=5)
    claimed = claim(queue, make_user("reviewer"), count=3)
    assert [slot.pk for slot in claimed] == [third.pk, first.pk, second.pk]


@pytest.mark.django_db
def test_a_claim_of_several_gives_several_completions():
    queue = make_queue(2, required_reviews=3)
    claimed = claim(queue, make_user("reviewer"), count=4)
    assert len({slot.completion_id for slot in claimed}) == len(claimed) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["accept", "skip"])
def test_nobody_is_given_what_he_has_decided_or_skipped(kind):
    queue, reviewer = make_queue(1, required_reviews=2), make_user("reviewer")
    decide(Slot.objects.first().completion_id, reviewer, kind)
    assert claim(queue, reviewer) == []
    assert len(claim(queue, make_user("reviewer"))) == 1


@pytest.mark.django_db
def test_nobody_is_given_two_slots_of_a_completion():
    queue, reviewer = make_queue(1, required_reviews=3), make_user("reviewer")
    assert len(claim(queue, reviewer)) == 1
    assert claim(queue, reviewer) == []


@pytest.mark.django_db(transaction=True)
def test_twenty_claimers_never_get_the_same_slot():
    queue = make_queue(60)
    reviewers = [make_user("reviewer") for _ in range(20)]
    barrier = threading.Barrier(20)

    def work(reviewer) -> list[int]:
        try:
            barrier.wait()
            slots = [slot for _ in range(3) for slot in claim(queue, reviewer)]
            return [slot.pk for slot in slots]
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        claimed = [pk for pks in pool.map(work, reviewers) for pk in pks]
    assert len(claimed) == len(set(claimed)) == 60
    assert Slot.objects.filter(state="claimed").count() == 60


@pytest.mark.django_db(transaction=True)
def test_one_person_in_many_tabs_never_holds_a_completion_twice():
    queue, reviewer = make_queue(5, required_reviews=4), make_user("reviewer")
    barrier = threading.Barrier(8)

    def work(_: int) -> list[int]:
        try:
            barrier.wait()
            return [slot.completion_id for slot in claim(queue, reviewer, count=2)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        claimed = [pk for pks in pool.map(work, range(8)) for pk in pks]
    assert len(claimed) == len(set(claimed)) <= 5


# --- leases ---


@pytest.mark.django_db
def test_an_ended_lease_is_given_to_the_next():
    queue, anna, ben = make_queue(1), make_user("reviewer"), make_user("reviewer")
    now = timezone.now()
    claim(queue, anna, now=now)
    assert claim(queue, ben, now=now + LEASE) == []
    (slot,) = claim(queue, ben, now=now + LEASE + timedelta(seconds=1))
    assert slot.reviewer == ben


@pytest.mark.django_db
def test_releasing_opens_only_what_has_ended():
    queue, now = make_queue(2), timezone.now()
    left, held = claim(queue, make_user("reviewer"), count=2, now=now)
    Slot.objects.filter(pk=left.pk).update(lease_until=now - timedelta(seconds=1))
    assert release_expired(now=now) == 1
    assert release_expired(now=now) == 0
    assert Slot.objects.get(state="claimed") == held


@pytest.mark.django_db
def test_taking_a_card_again_keeps_it_and_renews_the_lease():
    queue, reviewer, now = make_queue(2), make_user("reviewer"), timezone.now()
    let_read(queue, reviewer)
    assert take_cards(queue_id=queue.pk, reviewer=reviewer, now=now)
    assert take_cards(queue_id=queue.pk, reviewer=reviewer, now=now + LEASE)
    assert Slot.objects.get(state="claimed").lease_until == now + 2 * LEASE


@pytest.mark.django_db
def test_taking_a_card_looks_for_what_passed_meanwhile():
    queue, reviewer = make_queue(0), make_user("reviewer")
    let_read(queue, reviewer)
    assert not take_cards(queue_id=queue.pk, reviewer=reviewer, now=timezone.now())
    make_completion(dataset=queue.dataset)
    assert take_cards(queue_id=queue.pk, reviewer=reviewer, now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_a_whole_team_at_once_reviews_each_completion_exactly_as_often_as_wanted():
    queue = make_queue(12, required_reviews=2)
    reviewers = [make_user("reviewer") for _ in range(6)]

    def work(reviewer) -> None:
        try:
            while slots := claim(queue, reviewer):
                settle_slot(
                    slot_id=slots[0].pk,
                    reviewer=reviewer,
                    lease_token=slots[0].lease_token,
                    kind="accept",
                    client_id=uuid.uuid4(),
                    now=timezone.now(),
                )
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, reviewers))
    # A claim steps over what others are just taking: somebody may have left before the end.
    for reviewer in reviewers:
        work(reviewer)
    assert Slot.objects.filter(state="done").count() == 24
    pairs = Decision.objects.values_list("completion", "reviewer")
    assert len(pairs) == len(set(pairs)) == 24
