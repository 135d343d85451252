"""A lead makes, changes, closes and deletes queues; what reviewers and operators see of it."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.http import RoleName
from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from review.logic.queue_filter import QueueFilter
from review.logic.ways import Ways
from review.models import Queue, Slot
from review.queries.counts import CAP
from review.services import edit as edit_service
from review.services.claim import claim_next
from review.services.close import close_queue
from review.services.create import create_queue
from review.services.delete import delete_queue
from review.services.settle import settle_slot
from review.tasks import run_fill
from review.views import manage
from tests.builders import (
    let_read,
    make_completion,
    make_dataset,
    make_queue,
    make_run,
    make_sample,
    make_user,
)

pytestmark = pytest.mark.django_db

PREVIEW = {"HX-Request": "true", "HX-Target": "preview"}
NEW = {
    "name": "Second look",
    "gate": "rejected",
    "attempts": "any",
    "share": "100",
    "required_reviews": "2",
    "guidelines": "",
}


@pytest.fixture
def lead(client):
    user = make_user("lead", name="lena")
    client.force_login(user)
    return user


@pytest.fixture
def dataset(db):
    """Two completions that passed, two that the gate rejected for different reasons."""
    dataset = make_dataset("moss")
    for domain in ("ecology", "soil"):
        sample = make_sample(dataset, domain=domain)
        make_completion(sample)
        reason = Reason.CITATION if domain == "soil" else Reason.LOW_SCORE
        make_completion(make_sample(dataset, domain=domain), state="rejected", reasons=[reason])
    return dataset


def url(name, queue=None) -> str:
    return reverse(f"review:{name}", args=[queue.pk] if queue else [])


def text_of(answer) -> str:
    return " ".join(answer.content.decode().split())


def decide(queue, kind="accept", reviewer=None):
    reviewer = reviewer or make_user("reviewer")
    let_read(queue, reviewer)
    (slot,) = claim_next(queue_id=queue.pk, reviewer=reviewer, now=timezone.now())
    return settle_slot(
        slot_id=slot.pk,
        reviewer=reviewer,
        lease_token=slot.lease_token,
        kind=kind,
        reasons=[Reason.TRIVIAL] if kind == "reject" else [],
        client_id=uuid.uuid4(),
        now=timezone.now(),
    ).decision


# --- making ---


def test_first_the_dataset_is_chosen(client, lead, dataset):
    assert '<option value="moss">' in text_of(client.get(url("new_queue")))
    assert "There is no dataset “x”" in text_of(client.get(url("new_queue") + "?dataset=x"))


def test_the_form_offers_what_the_dataset_has_and_counts(client, lead, dataset):
    answer = client.get(url("new_queue") + "?dataset=moss")
    page = text_of(answer)
    for words in ("ecology", "soil", "Citation or bracketed reference", "<b>2</b> completions"):
        assert words in page
    offered = dict(answer.context["form"].fields["reasons"].choices)
    assert Reason.NOT_FALSIFIABLE not in offered, "the gate gives no reviewer's reasons"


@pytest.mark.parametrize("headers", [{}, PREVIEW])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "<b>2</b> completions match now, each for 2 people."),
        ({"reasons": "citation"}, "<b>1</b> completion matches, now, each for 2 people."),
        ({"domains": "soil", "gate": "passed"}, "<b>1</b> completion matches,"),
        ({"score_min": "0.9", "score_max": "0.2"}, "no score fits"),
        ({"share": "0"}, "One of these fields cannot be used as it is."),
        ({"gate": "passed", "reasons": "citation"}, "Only what the gate rejected has reasons"),
    ],
)
def test_counting_makes_nothing(client, lead, dataset, headers, change, said):
    asked = NEW | {"dataset": "moss", "count": "1", "name": ""} | change
    answer = client.post(url("new_queue"), asked, headers=headers)
    assert answer.status_code == 200
    assert said.replace("matches,", "match") in text_of(answer).replace(
        "matches,", "match"
    ).replace("matches", "match")
    assert ("<html" in text_of(answer)) == (not headers)
    assert not Queue.objects.exists()


def test_a_lead_makes_a_queue_of_what_was_rejected(client, lead, dataset):
    answer = client.post(
        url("new_queue"), NEW | {"dataset": "moss", "reasons": ["citation"]}, follow=True
    )
    queue = Queue.objects.get()
    assert queue.filter == {"gate": "rejected", "reasons": ["citation"]}
    assert (queue.required_reviews, queue.created_by, queue.is_default) == (2, lead, False)
    assert queue.slots.count() == 2
    page = text_of(answer)
    assert "was rejected by the gate · for citation or bracketed reference" in page
    assert "by lena" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"required_reviews": "6"}, "less than or equal to 5"),
        ({"domains": "nowhere"}, "not one of the available choices"),
        ({"gate": "passed", "reasons": "citation"}, "Only what the gate rejected has reasons"),
        ({"name": "taken"}, "has a queue named “taken” already"),
        ({"dataset": "nothing"}, "There is no dataset “nothing”"),
    ],
)
def test_what_cannot_be_made_is_said(client, lead, dataset, change, said):
    create_queue(dataset=dataset, name="taken", wanted=QueueFilter())
    answer = client.post(url("new_queue"), NEW | {"dataset": "moss"} | change)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert Queue.objects.count() == 1


def test_a_queue_that_takes_many_is_filled_by_a_worker(client, lead, dataset, monkeypatch):
    enqueued: list[int] = []
    monkeypatch.setattr(manage, "CAP", 1)
    monkeypatch.setattr(manage, "enqueue_fill", enqueued.append)
    client.post(url("new_queue"), NEW | {"dataset": "moss"})
    assert enqueued == [Queue.objects.get().pk]
    assert not Slot.objects.exists()
    for _ in range(2):
        run_fill(enqueued[0])
    assert Slot.objects.count() == 4
    assert CAP > 1


@pytest.mark.parametrize("num", [0, 6])
def test_the_service_refuses_impossible_numbers_of_reviews(dataset, num):
    with pytest.raises(InputError, match="1 to 5 are"):
        create_queue(dataset=dataset, name="x", wanted=QueueFilter(), required_reviews=num)


# --- changing ---


def edited(queue, **change):
    wanted = {
        "name": queue.name,
        "gate": queue.filter.get("gate", "passed"),
        "attempts": "any",
        "share": "100",
        "required_reviews": str(queue.required_reviews),
        "guidelines": queue.guidelines,
    }
    return wanted | change


def test_what_it_takes_can_change_until_somebody_has_decided(client, lead, dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=3)
    client.post(url("edit_queue", queue), edited(queue, gate="rejected", required_reviews="1"))
    queue.refresh_from_db()
    assert (queue.filter, queue.required_reviews) == ({"gate": "rejected"}, 1)
    open_ones = queue.slots.filter(state="open")
    assert {slot.number for slot in open_ones} == {1}
    assert {slot.completion.state_row.state for slot in open_ones} == {"rejected"}
    decide(queue)
    page = text_of(client.get(url("edit_queue", queue)))
    assert "stay as they are: somebody has decided in it" in page
    assert 'name="gate"' not in page
    client.post(url("edit_queue", queue), edited(queue, gate="both", name="Renamed"))
    queue.refresh_from_db()
    assert (queue.filter, queue.name) == ({"gate": "rejected"}, "Renamed")


def test_the_service_refuses_what_the_form_did_not_know_yet(dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter())
    decide(queue)
    with pytest.raises(ConflictError, match="cannot change any more"):
        edit_service.edit_queue(queue=queue, name="x", guidelines="", required_reviews=2)
    queue.refresh_from_db()
    assert (queue.name == "x", queue.required_reviews) == (False, 1)


def test_cards_that_are_held_go_back_when_what_it_takes_changes(dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=2)
    anna = make_user("reviewer")
    let_read(queue, anna)
    (slot,) = claim_next(queue_id=queue.pk, reviewer=anna, now=timezone.now())
    edit_service.edit_queue(queue=queue, name="x", guidelines="", required_reviews=1)
    settled = settle_slot(
        slot_id=slot.pk,
        reviewer=anna,
        lease_token=slot.lease_token,
        kind="accept",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    assert settled.standing == "extra"
    assert slot.completion.label.outcome == "accepted"


def test_the_queue_of_what_passed_keeps_its_filter(client, lead):
    queue = make_queue(1)
    page = text_of(client.get(url("edit_queue", queue)))
    assert 'name="gate"' not in page
    client.post(url("edit_queue", queue), edited(queue, gate="both", required_reviews="2"))
    queue.refresh_from_db()
    assert (queue.filter, queue.required_reviews) == ({}, 2)
    assert queue.slots.count() == 2


def test_two_queues_of_a_dataset_have_different_names(client, lead, dataset):
    make_queue(0, dataset=dataset)
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter())
    answer = client.post(url("edit_queue", queue), edited(queue, name="Passed the gate"))
    assert answer.status_code == 422
    assert "choose another name" in text_of(answer)


def test_counting_while_editing_saves_nothing(client, lead, dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter())
    asked = edited(queue, gate="both", name="other", count="1")
    assert "<b>4</b> completions" in text_of(
        client.post(url("edit_queue", queue), asked, headers=PREVIEW)
    )
    queue.refresh_from_db()
    assert (queue.filter, queue.name == "other") == ({}, False)


# --- closing and deleting ---


def test_a_closed_queue_gives_out_no_card_and_keeps_what_is_held(client, lead, dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), readers=[lead])
    client.post(url("claim", queue))
    client.post(url("close_queue", queue))
    assert "data-card" in text_of(client.get(url("queue", queue)))
    held = Slot.objects.get(state="claimed")
    settle_slot(
        slot_id=held.pk,
        reviewer=lead,
        lease_token=held.lease_token,
        kind="accept",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    client.post(url("claim", queue))
    page = text_of(client.get(url("queue", queue)))
    assert "This queue is closed" in page
    assert 'id="take"' not in page
    client.post(url("reopen_queue", queue))
    client.post(url("claim", queue))
    assert Slot.objects.filter(state="claimed").count() == 1


def test_a_queue_that_nobody_used_is_deleted_and_twice_is_harmless(client, lead, dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), readers=[lead])
    for _ in range(2):
        assert client.post(url("delete_queue", queue)).url == url("queues")
    assert not Queue.objects.exists()


@pytest.mark.parametrize("kind", ["default", "decided", "held"])
def test_other_queues_are_not_deleted(client, lead, dataset, kind):
    wanted = None if kind == "default" else QueueFilter()
    queue = make_queue(0, dataset=dataset, wanted=wanted, readers=[lead])
    if kind == "decided":
        decide(queue)
    if kind == "held":
        client.post(url("claim", queue))
    with pytest.raises(ConflictError):
        delete_queue(queue_id=queue.pk, now=timezone.now())
    answer = client.post(url("delete_queue", queue), follow=True)
    assert "tone-bad" in text_of(answer)
    assert Queue.objects.filter(pk=queue.pk).exists()


# --- seeing ---


@pytest.mark.parametrize("role", ["reviewer", "operator"])
def test_only_leads_make_and_change(client, dataset, role):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter())
    client.force_login(make_user(role))
    for name in ("edit_queue", "close_queue", "reopen_queue", "delete_queue"):
        assert client.post(url(name, queue)).status_code == 403
    assert client.get(url("new_queue")).status_code == 403
    for page in (client.get(url("queues")), client.get(url("about_queue", queue))):
        assert page.status_code == 200
        assert url("new_queue") not in text_of(page)
        assert url("edit_queue", queue) not in text_of(page)


def test_disagreements_are_counted_for_all_and_listed_for_leads_and_operators(client, dataset):
    queue = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=2)
    anna, ben = make_user("reviewer", name="anna"), make_user("reviewer", name="ben")
    decision = decide(queue, "accept", anna)
    decide(queue, "reject", ben)
    link = reverse("distill:completion", args=[decision.completion_id])
    seen: dict[RoleName, bool] = {"lead": True, "operator": True, "reviewer": False}
    for role, sees in seen.items():
        client.force_login(make_user(role))
        lines = client.get(url("queues")).context["lines"]
        assert {line.num_disagreed for line in lines if line.queue == queue} == {1}
        page = text_of(client.get(url("about_queue", queue)))
        assert (link in page) == sees
        assert ("ben, trivial or already known" in page) == sees


def test_the_list_says_what_a_queue_takes_and_puts_closed_ones_last(client, lead, dataset):
    closed = make_queue(0, dataset=dataset, wanted=QueueFilter(gate="rejected", share=20))
    make_queue(0, dataset=dataset)
    close_queue(queue_id=closed.pk)
    answer = client.get(url("queues"))
    assert [line.queue.is_closed for line in answer.context["lines"]] == [False, True]
    page = text_of(answer)
    assert "was rejected by the gate · 20 % of them" in page
    assert "Closed" in page


def test_a_dataset_leads_to_a_queue_over_it(client, dataset):
    make_run(dataset)
    link = f"{url('new_queue')}?dataset=moss"
    page = reverse("distill:dataset", args=[dataset.pk])
    offered: dict[RoleName, bool] = {"lead": True, "operator": False}
    for role, offers in offered.items():
        client.force_login(make_user(role))
        assert (link in text_of(client.get(page))) == offers


def test_how_it_is_worked_through_is_settled_with_the_first_decision(client, lead, dataset):
    client.post(
        reverse("review:new_queue"),
        {
            "dataset": dataset.name,
            "name": "two eyes",
            "gate": "both",
            "attempts": "any",
            "share": "100",
            "required_reviews": "2",
            "mode": "assisted",
            "overlap_share": "40",
            "random_share": "20",
            "reject_reasons": ["unsafe"],
        },
    )
    queue = Queue.objects.get(name="two eyes")
    ways = (queue.mode, queue.overlap_share, queue.random_share, queue.reject_reasons)
    assert ways == ("assisted", 40, 20, ["unsafe"])
    slot = queue.slots.first()
    Slot.objects.filter(pk=slot.pk).update(state="done")
    with pytest.raises(ConflictError, match="cannot change any more"):
        edit_service.edit_queue(queue=queue, name="x", guidelines="", ways=Ways())
    assert 'name="overlap_share"' not in text_of(client.get(url("edit_queue", queue)))


@pytest.mark.parametrize(
    "bad",
    [{"mode": "loud"}, {"overlap_share": 101}, {"random_share": 51}, {"reject_reasons": ("x",)}],
)
def test_a_way_out_of_bounds_is_refused(bad):
    with pytest.raises(InputError):
        Ways(**bad)
