"""Some forty decisions by two people in a real browser, by keyboard, against the labels they leave.

The queue takes what the gate rejected and wants two reviews of each. The second person differs from
the first here and there, each skips a card and takes one decision back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.models import Decision, Export, Label
from distill.queries.eligible import count_eligible
from review.logic.queue_filter import QueueFilter
from review.models import Queue, Slot
from review.queries.disagreements import disagreed_ids
from tests.builders import make_completion, make_dataset, make_queue, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NUM_COMPLETIONS = 18
ARM_MS = 260
"""So long a card has to be there before a key decides it."""
UNSENT = 'Object.keys(sessionStorage).some((key) => key.startsWith("unsent"))'
DIFFER = {3, 4}
"""Numbers of the cards on which the second person says the opposite."""
SKIPS = {"anna": 5, "ben": 11}
TAKES_BACK = {"anna": 8, "ben": 14}


@dataclass
class Person:
    """Somebody at a browser of their own, and what they said last of each completion."""

    user: User
    page: Page
    said: dict[int, list[str]] = field(default_factory=dict)
    num_pressed: int = 0

    def decide(self, keys: str) -> None:
        """Press the keys for the card on screen, and wait for what comes after it."""
        card = self.page.locator("#card")
        name = card.get_attribute("data-card") or ""
        slot = Slot.objects.get(pk=card.get_attribute("data-slot") or 0)
        self.page.wait_for_timeout(ARM_MS)
        for key in keys:
            self.page.keyboard.press(key)
        expect(card).not_to_have_attribute("data-card", name)
        self.sent()
        self.said[slot.completion_id] = _meaning(keys)
        self.num_pressed += 1

    def sent(self) -> None:
        """Wait until nothing is under way any more."""
        while self.page.evaluate(UNSENT):
            self.page.wait_for_timeout(20)

    def take_back(self) -> None:
        self.page.keyboard.press("u")
        expect(self.page.locator("#status")).to_contain_text("Taken back")
        self.num_pressed += 1


def _meaning(keys: str) -> list[str]:
    kind = {"a": "accept", "x": "reject", "s": "skip"}[keys[0]]
    return [kind, *(REVIEWER_REASONS[int(digit) - 1] for digit in keys[1:])]


def _keys(person: Person, number: int) -> str:
    """What this person presses on their card of this number."""
    name = person.user.username
    if number == SKIPS[name]:
        return "s"
    accepts = number % 3 == 0
    if name == "ben" and number in DIFFER:
        accepts = not accepts
    return "a" if accepts else f"x{number % 9 + 1}"


@pytest.fixture
def queue() -> Queue:
    dataset = make_dataset()
    for _ in range(NUM_COMPLETIONS):
        make_completion(dataset=dataset, state="rejected", reasons=[Reason.LOW_SCORE])
    wanted = QueueFilter(gate="rejected")
    return make_queue(0, dataset=dataset, wanted=wanted, required_reviews=2)


@pytest.fixture
def come_in(live_server, browser: Browser, queue: Queue) -> Iterator[Callable[[str], Person]]:
    """Somebody new opens the queue, reads its guidelines and starts by Enter."""
    contexts = []

    def come(name: str) -> Person:
        user = make_user("reviewer", name=name)
        client = Client()
        client.force_login(user)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        context = browser.new_context(base_url=live_server.url)
        contexts.append(context)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
        )
        page = context.new_page()
        page.goto(f"/review/{queue.pk}/")
        expect(page.locator("#start")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#card[data-card]")).to_be_visible()
        return Person(user, page)

    yield come
    for context in contexts:
        context.close()


def test_forty_decisions_by_two_people_leave_the_labels_that_follow(come_in, queue) -> None:
    people = [come_in("anna"), come_in("ben")]
    half = NUM_COMPLETIONS // 2
    for numbers in (range(half), range(half, NUM_COMPLETIONS)):
        for person in people:
            for number in numbers:
                person.decide(_keys(person, number))
                if number == TAKES_BACK[person.user.username]:
                    person.take_back()
                    person.decide("a")
    for person in people:
        expect(person.page.locator("#card")).to_contain_text(re.compile("All done|for others"))

    assert sum(person.num_pressed for person in people) == Decision.objects.count() == 40
    _check_decisions(people)
    _check_labels(people, queue)


def _check_decisions(people: list[Person]) -> None:
    """What is stored of each person is what they pressed last on each card."""
    for person in people:
        stored = Decision.objects.filter(reviewer=person.user, undone_by=None).exclude(kind="undo")
        said = {one.completion_id: [one.kind, *one.reasons] for one in stored}
        assert said == person.said
        assert len(said) == NUM_COMPLETIONS
    assert Decision.objects.filter(kind="undo").count() == 2


def _check_labels(people: list[Person], queue: Queue) -> None:
    """A label where two agreed, none where they did not or where one has skipped."""
    expected: dict[int, str] = {}
    split = []
    for completion_id, (kind, *_) in people[0].said.items():
        kinds = {kind, people[1].said[completion_id][0]}
        if kinds == {"accept", "reject"}:
            split.append(completion_id)
        elif "skip" not in kinds:
            expected[completion_id] = "accepted" if kinds == {"accept"} else "rejected"
    assert dict(Label.objects.values_list("completion", "outcome")) == expected
    assert set(Label.objects.values_list("basis", flat=True)) == {"unanimous"}
    assert len(split) >= len(DIFFER)
    assert disagreed_ids(queue_id=queue.pk) == sorted(split)
    num_accepted = sum(outcome == "accepted" for outcome in expected.values())
    assert count_eligible(dataset=queue.dataset, policy=Export.Policy.REVIEWED) == num_accepted
    states = Slot.objects.filter(queue=queue).values_list("state", flat=True)
    assert sorted(states) == ["done"] * (2 * NUM_COMPLETIONS - 2) + ["open"] * 2
