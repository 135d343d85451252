"""The panel measures what stands, of people, and leaves out what the judge has coloured."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.models import CompletionState
from review.queries.agreement import queue_agreement
from review.services.claim import claim_next
from review.services.reveal import reveal_judge
from review.services.settle import settle_slot
from tests.builders import let_read, make_queue, make_user
from tests.review.test_adjudicate import say

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    queue = make_queue(4, required_reviews=2)
    CompletionState.objects.filter(dataset=queue.dataset).update(mean_score=0.9)
    for name, kinds in (("anna", "aaar"), ("ben", "arar")):
        person = make_user("reviewer", name=name)
        for kind in kinds:
            say(queue, person, {"a": "accept", "r": "reject"}[kind])
    return queue


def test_it_counts_people_pairs_and_the_judge(queue):
    found = queue_agreement(queue)
    assert found.people
    assert (found.people.num_completions, found.people.num_verdicts) == (4, 8)
    assert found.people.raw.value == pytest.approx(0.75)
    assert found.says_little
    (pair,) = found.pairs
    assert (pair.names, pair.found.num_completions) == (("anna", "ben"), 4)
    assert pair.found.kappa == pytest.approx(0.5)
    assert found.judge
    assert (found.judge.both_yes, found.judge.only_judge, found.judge.total) == (5, 3, 8)


def test_who_has_seen_the_judge_does_not_count_beside_it():
    queue = make_queue(1)
    CompletionState.objects.filter(dataset=queue.dataset).update(mean_score=0.9)
    person = make_user("reviewer")
    let_read(queue, person)
    (slot,) = claim_next(queue_id=queue.pk, reviewer=person, now=timezone.now())
    reveal_judge(slot_id=slot.pk, reviewer=person)
    settle_slot(
        slot_id=slot.pk,
        reviewer=person,
        lease_token=slot.lease_token,
        kind="accept",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    found = queue_agreement(queue)
    assert (found.people, list(found.pairs), found.judge) == (None, [], None)


def test_leads_see_it_and_reviewers_do_not(client, queue):
    address = reverse("review:about_queue", args=[queue.pk])
    client.force_login(make_user("lead"))
    page = client.get(address).content.decode()
    assert "Krippendorff" in page
    assert "anna and ben" in page
    client.force_login(make_user("reviewer"))
    assert "Krippendorff" not in client.get(address).content.decode()
