"""Guidelines are read before the first card, and again when they have changed."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.http import RoleName
from distill.logic.errors import ConflictError
from review.models import GuidelineReading, Slot
from review.services.claim import claim_next
from review.services.edit import edit_queue
from review.services.read import read_guidelines
from review.services.take import take_cards
from tests.builders import make_queue, make_user

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Target": "card"}
EVIL = "<script>alert(1)</script> & {{ 7|add:7 }}\n\nSecond paragraph."


@pytest.fixture
def anna(client):
    user = make_user("reviewer", name="anna")
    client.force_login(user)
    return user


def url(name, queue) -> str:
    return reverse(f"review:{name}", args=[queue.pk])


def change(queue, text) -> bool:
    return edit_queue(queue=queue, name=queue.name, guidelines=text)


@pytest.mark.parametrize("give", [claim_next, take_cards])
def test_the_service_gives_no_card_to_who_has_not_read(anna, give):
    queue = make_queue(1)
    with pytest.raises(ConflictError, match="Read the queue's guidelines first"):
        give(queue_id=queue.pk, reviewer=anna, now=timezone.now())
    assert Slot.objects.get().state == "open"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_screen_shows_them_in_place_of_a_card(client, anna, headers):
    queue = make_queue(1)
    answer = client.post(url("claim", queue), headers=headers, follow=True)
    page = answer.content.decode()
    assert "Read the queue&#x27;s guidelines first" in page
    assert "Not falsifiable" in page
    assert "I have read them: start" in page
    assert Slot.objects.get().state == "open"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_having_read_them_takes_the_first_card(client, anna, headers):
    queue = make_queue(2)
    for _ in range(2):
        client.post(url("read", queue), {"version": 1}, headers=headers)
    assert GuidelineReading.objects.count() == 1
    assert Slot.objects.get(state="claimed").reviewer == anna
    page = client.get(url("queue", queue)).content.decode()
    assert 'id="card"' in page
    assert url("guidelines", queue) in page


def test_a_new_version_is_read_before_the_next_card(client, anna):
    queue = make_queue(2, readers=[anna])
    client.post(url("claim", queue))
    assert change(queue, "Now more strictly.")
    page = client.get(url("queue", queue)).content.decode()
    assert "The guidelines have changed" in page
    assert "Now more strictly." in page
    assert "data-card" not in page
    client.post(url("read", queue), {"version": 2})
    assert "data-card" in client.get(url("queue", queue)).content.decode()
    assert Slot.objects.filter(state="claimed").count() == 1, "the card that was held is back"


def test_the_same_text_again_is_no_new_version(anna):
    queue = make_queue(1, readers=[anna])
    assert change(queue, "One.")
    queue.refresh_from_db()
    assert not change(queue, " One.\n")
    queue.refresh_from_db()
    assert queue.guidelines_version == 2


def test_who_read_the_old_text_while_it_changed_reads_again(client, anna):
    queue = make_queue(1)
    change(queue, "New.")
    with pytest.raises(ConflictError, match="have changed while you read"):
        read_guidelines(queue_id=queue.pk, reviewer=anna, version=1)
    answer = client.post(url("read", queue), {"version": 1}, headers=HTMX)
    assert "have changed while you read" in answer.content.decode()
    assert not GuidelineReading.objects.exists()


@pytest.mark.parametrize("version", ["", "x", "0", "9" * 30])
def test_a_broken_version_is_said(client, anna, version):
    queue = make_queue(1)
    answer = client.post(url("read", queue), {"version": version}, headers=HTMX)
    assert "Not saved. version" in answer.content.decode()


def test_their_page_is_for_all_who_see_queues(client):
    queue = make_queue(1)
    offered: dict[RoleName, bool] = {"reviewer": True, "lead": True, "operator": False}
    for role, offers in offered.items():
        client.force_login(make_user(role))
        page = client.get(url("guidelines", queue)).content.decode()
        assert "Not falsifiable" in page
        assert ("I have read them" in page) == offers


def test_hostile_guidelines_stay_text(client, anna):
    queue = make_queue(1)
    change(queue, EVIL)
    for name in ("queue", "guidelines", "about_queue"):
        page = client.get(url(name, queue)).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "{{ 7|add:7 }}" in page
        assert '<p class="text">Second paragraph.</p>' in page
