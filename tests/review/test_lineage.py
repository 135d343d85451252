"""What a card shows of the attempts before it."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from distill.logic.reasons import Reason
from distill.models import CompletionState
from distill.services.decide import record_decision
from review.queries.lineage import earlier_attempts
from tests.builders import make_completion, make_queue, make_sample, make_user

pytestmark = pytest.mark.django_db


def pair(hypothesis: str) -> dict[str, str]:
    return {"hypothesis": hypothesis, "methodology": "Weigh them."}


def attempts(dataset, *texts, **fields):
    """Completions of one sample × draw, each the next attempt of the one before."""
    sample, parent = make_sample(dataset), None
    for number, text in enumerate(texts, start=1):
        parent = make_completion(
            sample,
            parent=parent,
            attempt=number,
            fields=pair(text),
            is_open=number == len(texts),
            **fields,
        )
    return parent


def test_a_first_attempt_has_none(django_assert_num_queries):
    completion = make_completion()
    with django_assert_num_queries(0):
        assert earlier_attempts(completion) == []


def test_each_attempt_is_compared_with_the_next(django_assert_num_queries):
    last = attempts(None, "Heat 24 cores.", "Heat 36 cores.", "Cool 36 cores.")
    with django_assert_num_queries(2):
        second, first = earlier_attempts(last)
    assert (second.completion.attempt, second.next_attempt) == (2, 3)
    assert (first.completion.attempt, first.next_attempt) == (1, 2)
    hypothesis, methodology = second.changes
    assert [part.text for part in hypothesis.parts if part.change == "removed"] == ["Heat "]
    assert [part.text for part in hypothesis.parts if part.change == "added"] == ["Cool "]
    assert not methodology.is_changed


def test_only_ancestors_are_shown():
    last = attempts(None, "One.", "Two.")
    make_completion(last.sample, fields=pair("A first attempt of another run."))
    assert [one.completion for one in earlier_attempts(last)] == [last.parent]


def test_the_card_says_what_the_gate_and_people_said_and_what_changed(client):
    reviewer = make_user("reviewer")
    client.force_login(reviewer)
    queue = make_queue(0, readers=[reviewer])
    last = attempts(
        queue.dataset, "Heat <b>24</b> cores.", "Heat <i>36</i> cores.", mean_score=0.4321
    )
    CompletionState.objects.filter(pk=last.parent_id).update(
        state="rejected", reasons=[Reason.LOW_SCORE]
    )
    record_decision(
        completion_id=last.parent_id,
        reviewer=make_user("reviewer", name="hidden-name"),
        kind="reject",
        reasons=[Reason.VAGUE_METHOD],
        note="how <many>?",
        client_id=uuid.uuid4(),
    )
    client.post(reverse("review:claim", args=[queue.pk]))
    page = client.get(reverse("review:queue", args=[queue.pk])).content.decode()
    for text in (
        "Attempt 1, and what changed in attempt 2",
        "Judge score below the threshold",
        "Method too vague",
        "how &lt;many&gt;?",
        "&lt;b&gt;24&lt;/b&gt; <span",
        "&lt;i&gt;36&lt;/i&gt; <span",
    ):
        assert text in page, text
    assert "0.43" not in page, "the judge's score stays hidden"
    assert "hidden-name" not in page
