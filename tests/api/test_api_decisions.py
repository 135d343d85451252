"""Decisions through the API: they settle slots, once, and can be taken back."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from distill.models import CompletionState, Decision, Label
from review.models import Queue, Slot
from review.services.claim import claim_next
from review.services.read import read_guidelines
from tests.api.clients import client_of
from tests.builders import make_completion, make_queue, make_user

pytestmark = pytest.mark.django_db
URL = "/api/v1/decisions/"


def make_reader(queue: Queue, *roles):
    user = make_user(*roles)
    read_guidelines(queue_id=queue.pk, reviewer=user, version=queue.guidelines_version)
    return user


def say(user, completion, kind="accept", **more):
    body = {"completion": getattr(completion, "pk", completion), "kind": kind, **more}
    return client_of(user).post(URL, body, format="json")


def test_a_decision_takes_a_free_slot_and_sets_the_label():
    queue = make_queue(1)
    ada = make_reader(queue, "reviewer")
    slot = Slot.objects.get()
    answer = say(ada, slot.completion, "reject", reasons=["not_falsifiable"], note="Why?")
    assert answer.status_code == 201, answer.json()
    slot.refresh_from_db()
    assert (slot.state, slot.reviewer, slot.decision_id) == ("done", ada, answer.json()["id"])
    assert Label.objects.get().outcome == "rejected"
    assert (answer.json()["reviewer"], answer.json()["note"]) == (ada.username, "Why?")


def test_the_same_client_id_again_gives_what_is_stored():
    queue = make_queue(1)
    ada, slot, key = make_reader(queue, "reviewer"), Slot.objects.get(), str(uuid.uuid4())
    first = say(ada, slot.completion, client_id=key)
    again = say(ada, slot.completion, client_id=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Decision.objects.count() == 1
    other = say(make_reader(queue, "lead"), slot.completion, client_id=key)
    assert other.status_code == 409
    once_more = say(ada, slot.completion)
    assert (once_more.status_code, "already" in once_more.json()["detail"]) == (409, True)


def test_ones_own_card_comes_first_and_others_keep_theirs():
    queue = make_queue(2)
    ada, bob = make_reader(queue, "reviewer"), make_reader(queue, "reviewer")
    [held] = claim_next(queue_id=queue.pk, reviewer=ada, now=timezone.now())
    refused = say(bob, held.completion)
    assert (refused.status_code, "others have every place" in refused.json()["detail"]) == (
        409,
        True,
    )
    assert not Decision.objects.exists()
    assert say(ada, held.completion).status_code == 201
    held.refresh_from_db()
    assert held.state == Slot.State.DONE


def test_guidelines_come_first_and_a_closed_queue_gives_nothing():
    queue = make_queue(1)
    completion = Slot.objects.get().completion
    refused = say(make_user("reviewer"), completion)
    assert (refused.status_code, "guidelines" in refused.json()["detail"]) == (409, True)
    ada = make_reader(queue, "reviewer")
    Queue.objects.update(is_closed=True)
    assert say(ada, completion).status_code == 409


def test_what_a_later_attempt_has_replaced_is_not_decided_before_its_slot_is_closed():
    queue = make_queue(1)
    ada, completion = make_reader(queue, "reviewer"), Slot.objects.get().completion
    CompletionState.objects.update(is_open=False)
    refused = say(ada, completion)
    assert (refused.status_code, "later attempt" in refused.json()["detail"]) == (409, True)
    assert not Decision.objects.exists()


def test_outside_queues_leads_decide_alone():
    completion = make_completion()
    assert "completion" in say(make_user("reviewer"), completion).json()
    assert say(make_user("reviewer"), 999_999).status_code == 400
    assert say(make_user("lead"), 999_999).status_code == 400
    lead = make_user("lead")
    said = say(lead, completion)
    assert said.status_code == 201
    assert Decision.objects.get().judge_seen
    undone = client_of(lead).post(f"{URL}{said.json()['id']}/undo/")
    assert (undone.status_code, undone.json()["kind"]) == (200, "undo")
    assert not Label.objects.exists()


def test_undo_gives_the_card_back_and_twice_is_harmless():
    queue = make_queue(1)
    ada, slot = make_reader(queue, "reviewer"), Slot.objects.get()
    decision = say(ada, slot.completion).json()
    url = f"{URL}{decision['id']}/undo/"
    first = client_of(ada).post(url)
    assert first.json()["undoes"] == decision["id"]
    slot.refresh_from_db()
    assert (slot.state, slot.reviewer) == ("claimed", ada)
    assert client_of(ada).post(url).json() == first.json()
    undo_of_undo = client_of(ada).post(f"{URL}{first.json()['id']}/undo/")
    assert undo_of_undo.status_code == 400
    lead = client_of(make_user("lead")).post(url)
    assert (lead.status_code, "somebody else" in lead.json()["detail"]) == (400, True)


def test_an_undo_under_the_id_of_another_one_is_refused():
    queue = make_queue(2)
    ada = make_reader(queue, "reviewer")
    first, second = (say(ada, slot.completion).json()["id"] for slot in Slot.objects.all())
    body, client = {"client_id": str(uuid.uuid4())}, client_of(ada)
    assert client.post(f"{URL}{first}/undo/", body, format="json").status_code == 200
    assert client.post(f"{URL}{second}/undo/", body, format="json").status_code == 409
    assert Decision.objects.filter(kind="undo").get().undoes_id == first


def test_a_reviewer_sees_their_own_and_a_lead_all():
    queue = make_queue(2)
    ada, bob = make_reader(queue, "reviewer"), make_reader(queue, "reviewer")
    first, second = (slot.completion for slot in Slot.objects.order_by("pk"))
    hers, his = say(ada, first).json(), say(bob, second).json()

    def seen(user, query=""):
        return [row["id"] for row in client_of(user).get(f"{URL}{query}").json()["results"]]

    assert seen(ada) == [hers["id"]]
    assert client_of(ada).get(f"{URL}{his['id']}/").status_code == 404
    lead = make_user("lead")
    assert seen(lead) == [his["id"], hers["id"]]
    assert seen(lead, f"?completion={first.pk}") == [hers["id"]]
    assert seen(lead, f"?dataset={queue.dataset_id}&page_size=1") == [his["id"]]
    assert client_of(ada).get(f"/api/v1/completions/{first.pk}/").status_code == 403


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "undo"},
        {"kind": "edit"},
        {"kind": "reject"},
        {"kind": "accept", "reasons": ["not_falsifiable"]},
        {"kind": "reject", "reasons": ["citation"]},
        {"client_id": "7"},
        {"note": "x" * 2001},
        {"note": "\0"},
        {"active_ms": 3},
    ],
)
def test_what_is_no_decision_is_not_stored(more):
    queue = make_queue(1)
    ada = make_reader(queue, "reviewer")
    body = {"completion": Slot.objects.get().completion_id, "kind": "accept"} | more
    assert client_of(ada).post(URL, body, format="json").status_code == 400
    assert not Decision.objects.exists()
