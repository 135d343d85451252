"""What people disagree on or flag waits for a lead, who settles it once and can reopen it."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.models import Decision, Label
from distill.services.undo import undo_decision
from review.models import Adjudication, Slot
from review.queries.unsettled import unsettled_ids
from review.services.adjudicate import adjudicate, reopen
from review.services.claim import claim_next
from review.services.settle import settle_slot
from tests.builders import let_read, make_queue, make_user

pytestmark = pytest.mark.django_db


def say(queue, person, kind, **more) -> Decision:
    let_read(queue, person)
    (slot,) = claim_next(queue_id=queue.pk, reviewer=person, now=timezone.now())
    reasons = [Reason.UNSAFE] if kind == "reject" else []
    return settle_slot(
        slot_id=slot.pk,
        reviewer=person,
        lease_token=slot.lease_token,
        kind=kind,
        reasons=reasons,
        client_id=uuid.uuid4(),
        now=timezone.now(),
        **more,
    ).decision


@pytest.fixture
def lead():
    return make_user("lead", name="lea")


@pytest.fixture
def queue():
    queue = make_queue(1, required_reviews=2)
    for name, kind in (("anna", "accept"), ("ben", "reject")):
        say(queue, make_user("reviewer", name=name), kind, note=f"{name} says so")
    return queue


def settle(queue, lead, **more) -> Decision:
    given = {
        "queue_id": queue.pk,
        "completion_id": Slot.objects.first().completion_id,
        "adjudicator": lead,
        "kind": "accept",
        "note": "Table 2 carries it.",
        "cause": "reviewer_error",
        "client_id": uuid.uuid4(),
    }
    return adjudicate(**(given | more))


def test_a_disagreement_has_no_label_until_a_lead_settles_it(queue, lead):
    assert not Label.objects.exists()
    assert len(unsettled_ids(queue_id=queue.pk)) == 1
    decision = settle(queue, lead)
    label = Label.objects.get()
    assert (label.outcome, label.basis, label.decision) == ("accepted", "adjudicated", decision)
    assert unsettled_ids(queue_id=queue.pk) == []


def test_twice_is_harmless_and_a_second_one_is_refused(queue, lead):
    client_id = uuid.uuid4()
    assert settle(queue, lead, client_id=client_id) == settle(queue, lead, client_id=client_id)
    with pytest.raises(ConflictError, match="settled already"):
        settle(queue, make_user("lead"))
    assert Adjudication.objects.count() == 1


@pytest.mark.parametrize(
    "bad", [{"note": " "}, {"cause": "mood"}, {"kind": "skip"}, {"kind": "reject"}]
)
def test_what_says_too_little_is_refused(queue, lead, bad):
    with pytest.raises(InputError):
        settle(queue, lead, **bad)
    assert not Adjudication.objects.exists()


def test_nobody_settles_what_they_reviewed(queue):
    with pytest.raises(ConflictError, match="another lead"):
        settle(queue, Decision.objects.first().reviewer)


def test_a_reviewer_cannot_undo_under_it_until_it_is_reopened(queue, lead):
    first = Decision.objects.order_by("id").first()
    settled = settle(queue, lead)
    with pytest.raises(ConflictError, match="lea has settled"):
        undo_decision(decision_id=first.pk, reviewer=first.reviewer, client_id=uuid.uuid4())
    for _ in range(2):
        reopen(decision_id=settled.pk)
    assert not Label.objects.exists()
    assert len(unsettled_ids(queue_id=queue.pk)) == 1
    undo_decision(decision_id=first.pk, reviewer=first.reviewer, client_id=uuid.uuid4())
    assert settle_again(queue, lead)


def settle_again(queue, lead) -> bool:
    """With one opinion left there is nothing to settle: another review is wanted."""
    with pytest.raises(ConflictError):
        settle(queue, lead)
    return True


def test_what_somebody_flagged_waits_for_a_lead_and_has_no_label(lead):
    queue = make_queue(1)
    say(queue, make_user("reviewer"), "flag", note="is this allowed?")
    assert not Label.objects.exists()
    settle(queue, lead, kind="reject", reasons=[Reason.UNSAFE])
    assert Label.objects.get().outcome == "rejected"


def test_the_page_hides_names_and_settles(client, queue, lead):
    client.force_login(lead)
    address = reverse("review:adjudicate", args=[queue.pk])
    page = client.get(address).content.decode()
    assert "says so" in page
    assert "Reviewer 2" in page
    assert ">anna<" not in page
    body = {
        "completion": Slot.objects.first().completion_id,
        "client_id": str(uuid.uuid4()),
        "kind": "reject",
        "reason": "unsafe",
        "note": "<b>no</b>",
        "cause": "edge_case",
    }
    assert client.post(address, body | {"note": ""}).status_code == 422
    assert client.post(address, body).status_code == 302
    assert Label.objects.get().basis == "adjudicated"
    page = client.get(address).content.decode()
    assert "Nothing to settle" in page
    again = reverse("review:reopen_adjudication", args=[queue.pk])
    client.post(again, {"decision": Adjudication.objects.get().pk})
    assert not Label.objects.exists()


def test_reviewers_settle_nothing(client, queue):
    client.force_login(make_user("reviewer"))
    assert client.get(reverse("review:adjudicate", args=[queue.pk])).status_code == 403
