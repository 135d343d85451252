"""A card whose lease has run out: the screen says so and offers to take the card again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from review.logic.leases import LEASE
from review.models import Slot
from review.services.claim import claim_next
from tests.builders import let_read, make_queue, make_user

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Target": "card"}
OFFER = "data-when-over hidden"


@pytest.fixture
def held(client) -> Slot:
    """A card of the person who is logged in."""
    user = make_user("reviewer")
    client.force_login(user)
    queue = make_queue(1, readers=[user])
    return claim_next(queue_id=queue.pk, reviewer=user, now=timezone.now())[0]


def let_run_out(slot: Slot) -> None:
    Slot.objects.filter(pk=slot.pk).update(lease_until=timezone.now() - timedelta(minutes=1))


def page(client, slot: Slot) -> str:
    text = client.get(reverse("review:queue", args=[slot.queue_id])).content.decode()
    return " ".join(text.split())


def test_while_it_is_yours_the_clock_is_shown_alone(client, held):
    shown = page(client, held)
    assert OFFER in shown
    assert "data-while-yours >" in shown


def test_when_it_is_over_that_is_said_in_place_of_the_clock(client, held):
    let_run_out(held)
    shown = page(client, held)
    assert OFFER not in shown
    assert "Your time with this card is up." in shown
    assert "data-while-yours hidden" in shown


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_taking_it_again_renews_the_lease(client, held, headers):
    let_run_out(held)
    client.post(reverse("review:claim", args=[held.queue_id]), headers=headers)
    held.refresh_from_db()
    assert held.lease_until > timezone.now() + LEASE - timedelta(minutes=1)
    assert OFFER in page(client, held)


def test_it_cannot_be_taken_from_somebody_else(client, held):
    let_run_out(held)
    other = make_user("reviewer")
    let_read(held.queue, other)
    claim_next(queue_id=held.queue_id, reviewer=other, now=timezone.now())
    client.post(reverse("review:claim", args=[held.queue_id]))
    held.refresh_from_db()
    assert held.reviewer == other
