"""Cards that are held: how many, for how long, given back, and the judge seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.models import Decision
from review.logic.leases import LONGEST, SHORTEST, lease_for
from review.models import KeyMap, Queue, Slot
from review.queries.proof import prove_card
from review.queries.slots import hand
from review.services.claim import claim_next
from review.services.extend import extend_leases
from review.services.leave import leave_cards
from review.services.take import take_cards
from tests.builders import let_read, make_judgement, make_queue, make_user

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Target": "lane"}


@pytest.fixture
def anna(client):
    anna = make_user("reviewer", name="anna")
    client.force_login(anna)
    return anna


@pytest.fixture
def queue(anna) -> Queue:
    return make_queue(6, readers=[anna])


def url(name: str, queue: Queue) -> str:
    return reverse(f"review:{name}", args=[queue.pk])


@pytest.mark.parametrize(
    ("median_s", "lease"),
    [(1, SHORTEST), (200, timedelta(minutes=10)), (10_000, LONGEST)],
)
def test_a_lease_is_three_times_ones_pace_within_bounds(median_s, lease):
    assert lease_for(median_s * 1000) == lease


def test_nobody_holds_more_than_three(client, queue, anna):
    for _ in range(3):
        client.post(url("claim", queue), {"hand": "3"}, headers=HTMX)
    assert Slot.objects.filter(state="claimed").count() == 3
    client.post(url("claim", queue), {"hand": "4"}, headers=HTMX)
    assert Slot.objects.filter(state="claimed").count() == 3


def test_only_cards_that_the_page_lacks_are_sent(client, queue, anna):
    client.post(url("claim", queue), {"hand": "3"}, headers=HTMX)
    slots = [str(slot.pk) for slot in hand(queue_id=queue.pk, reviewer=anna)]
    page = client.post(
        url("claim", queue), {"hand": "3", "have": " ".join(slots[:2])}, headers=HTMX
    ).content.decode()
    assert [f'data-slot="{slot}"' in page for slot in slots] == [False, False, True]


def test_an_undone_card_comes_before_the_others(client, queue, anna):
    take_cards(queue_id=queue.pk, reviewer=anna, count=3, now=timezone.now())
    first = hand(queue_id=queue.pk, reviewer=anna)[0]
    said = {"slot": first.pk, "proof": prove_card(first), "kind": "accept"}
    client.post(
        url("decide", queue),
        {**said, "client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d11", "hand": "3"},
        headers=HTMX,
    )
    assert hand(queue_id=queue.pk, reviewer=anna)[0].pk != first.pk
    client.post(
        url("undo", queue), {"client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d12"}, headers=HTMX
    )
    held = hand(queue_id=queue.pk, reviewer=anna)
    assert (held[0].pk, len(held)) == (first.pk, 4)


def test_more_time_begins_the_lease_anew(client, queue, anna):
    take_cards(queue_id=queue.pk, reviewer=anna, count=2, now=timezone.now())
    Slot.objects.filter(state="claimed").update(lease_until=timezone.now())
    answer = client.post(url("extend", queue), headers=HTMX).json()
    assert 590 <= answer["seconds"] <= 600
    ends = set(Slot.objects.filter(state="claimed").values_list("lease_until", flat=True))
    assert {end.isoformat() for end in ends} == {answer["until"]}


def test_leaving_opens_what_waits_and_keeps_the_card_for_a_minute(client, queue, anna):
    now = timezone.now()
    take_cards(queue_id=queue.pk, reviewer=anna, count=3, now=now)
    first, *others = hand(queue_id=queue.pk, reviewer=anna)
    body = {
        "until": first.lease_until.isoformat(),
        "waiting": " ".join(str(one.pk) for one in others),
    }
    for _ in range(2):
        assert client.post(url("leave", queue), body).status_code == 204
    (kept,) = hand(queue_id=queue.pk, reviewer=anna)
    assert kept.pk == first.pk
    assert kept.lease_until < now + timedelta(seconds=65)


def test_what_a_new_page_has_renewed_is_not_given_back(queue, anna):
    now = timezone.now()
    take_cards(queue_id=queue.pk, reviewer=anna, count=3, now=now)
    held = hand(queue_id=queue.pk, reviewer=anna)
    known = held[0].lease_until or now
    extend_leases(queue_id=queue.pk, reviewer=anna, now=now + timedelta(seconds=1))
    waiting = [one.pk for one in held[1:]]
    left = leave_cards(
        queue_id=queue.pk, reviewer=anna, waiting=waiting, until=known, now=timezone.now()
    )
    assert left == 0
    assert len(hand(queue_id=queue.pk, reviewer=anna)) == 3


@pytest.mark.parametrize("body", [{}, {"until": "soon"}])
def test_leaving_without_saying_when_is_refused(client, queue, body):
    assert client.post(url("leave", queue), body).status_code == 400


def test_the_judge_is_shown_to_who_holds_the_card_and_that_is_noted(client, queue, anna):
    take_cards(queue_id=queue.pk, reviewer=anna, now=timezone.now())
    (slot,) = hand(queue_id=queue.pk, reviewer=anna)
    make_judgement(slot.completion, judge="F", rationale="<i>Sound</i>")
    said = {"slot": slot.pk, "proof": prove_card(slot)}
    page = client.post(url("judge", queue), said, headers=HTMX).content.decode()
    assert "&lt;i&gt;Sound" in page
    assert Slot.objects.get(pk=slot.pk).judge_seen
    client.post(
        url("decide", queue),
        {**said, "kind": "accept", "client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d11"},
    )
    assert Decision.objects.get().judge_seen


def test_who_does_not_hold_the_card_sees_no_judge(client, queue, anna):
    other = make_user("reviewer")
    (slot,) = _claimed(queue, other)
    said = {"slot": slot.pk, "proof": prove_card(slot)}
    assert client.post(url("judge", queue), said, headers=HTMX).status_code == 409
    assert not Slot.objects.get(pk=slot.pk).judge_seen


def _claimed(queue: Queue, reviewer) -> list[Slot]:
    let_read(queue, reviewer)
    return claim_next(queue_id=queue.pk, reviewer=reviewer, now=timezone.now())


def test_an_assisted_queue_shows_the_judge_and_every_decision_says_so(client, anna):
    queue = make_queue(2, readers=[anna])
    Queue.objects.filter(pk=queue.pk).update(mode=Queue.Mode.ASSISTED)
    for slot in queue.slots.all():
        make_judgement(slot.completion, judge="F", rationale="Sound.")
    client.post(url("claim", queue))
    assert "Sound." in client.get(url("queue", queue)).content.decode()
    (slot,) = hand(queue_id=queue.pk, reviewer=anna)
    client.post(
        url("decide", queue),
        {
            "slot": slot.pk,
            "proof": prove_card(slot),
            "kind": "accept",
            "client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d11",
        },
    )
    assert Decision.objects.get().judge_seen


def test_a_claim_comes_from_the_random_stream_as_often_as_the_share_says(anna):
    queue = make_queue(60, readers=[anna])
    Slot.objects.filter(pk__in=queue.slots.values("pk")[:30]).update(is_random=True)
    Queue.objects.filter(pk=queue.pk).update(random_share=50)
    claimed = claim_next(queue_id=queue.pk, reviewer=anna, count=40, now=timezone.now())
    assert 8 <= sum(slot.is_random for slot in claimed) <= 32
    rest = claim_next(queue_id=queue.pk, reviewer=anna, count=40, now=timezone.now())
    assert len(rest) == 20, "where one stream is empty the other gives"


def test_keys_are_kept_and_can_be_put_back(client, anna):
    usual = client.get(reverse("review:keys"))
    assert usual.status_code == 200
    answer = client.post(reverse("review:keys"), {"key.accept": "y", "is_on": "1"})
    assert answer.status_code == 302
    stored = KeyMap.objects.get()
    assert (stored.keys, stored.is_on) == ({"accept": "y"}, True)
    refused = client.post(reverse("review:keys"), {"key.accept": "<script>", "is_on": "1"})
    assert refused.status_code == 422
    assert "<script>" not in refused.content.decode().replace("<script src", "")
    client.post(reverse("review:keys"), {"usual": "1"})
    assert KeyMap.objects.get().keys == {}


def test_my_page_counts_what_came_of_it_and_finds_what_i_said(client, queue, anna):
    assert "Nothing decided yet" in client.get(reverse("review:mine")).content.decode()
    take_cards(queue_id=queue.pk, reviewer=anna, now=timezone.now())
    (slot,) = hand(queue_id=queue.pk, reviewer=anna)
    client.post(
        url("decide", queue),
        {
            "slot": slot.pk,
            "proof": prove_card(slot),
            "kind": "reject",
            "reason": "unsafe",
            "note": "<b>dose</b>",
            "client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d11",
        },
    )
    page = client.get(reverse("review:mine"))
    assert (page.context["page"].num_today, page.context["page"].effects.agreed) == (1, 1)
    assert "&lt;b&gt;dose" in page.content.decode()
    for query, found in (("dose", 1), ("nowhere", 0)):
        page = client.get(reverse("review:mine"), {"q": query})
        assert len(page.context["page"].history.rows) == found
