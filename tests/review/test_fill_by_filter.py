"""What a queue takes, and how it follows what changes."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from distill.logic.reasons import Reason
from distill.models import CompletionState, Export
from distill.queries.eligible import count_eligible
from distill.services.decide import record_decision
from review.logic.queue_filter import QueueFilter
from review.models import Queue, Slot
from review.queries.matching import count_fitting
from review.services.close import close_queue, reopen_queue
from review.services.fill import fill_queue, fill_queues
from tests.builders import make_completion, make_dataset, make_queue, make_sample, make_user

pytestmark = pytest.mark.django_db

REJECTED = QueueFilter(gate="rejected")


def taken_by(wanted: QueueFilter, dataset) -> set[int]:
    queue = make_queue(0, dataset=dataset, wanted=wanted)
    found = set(queue.slots.values_list("completion", flat=True))
    assert count_fitting(wanted, dataset=dataset, required_reviews=1) == len(found)
    return found


def decide(completion, kind="accept", **more) -> None:
    record_decision(
        completion_id=completion.pk,
        reviewer=make_user("reviewer"),
        kind=kind,
        reasons=[Reason.TRIVIAL] if kind == "reject" else [],
        client_id=uuid.uuid4(),
        **more,
    )


def reject(completion) -> None:
    CompletionState.objects.filter(pk=completion.pk).update(state="rejected")


def replace(parent, **fields):
    """A later attempt in the place of `parent`."""
    CompletionState.objects.filter(pk=parent.pk).update(is_open=False)
    attempt = parent.attempt + 1
    return make_completion(parent.sample, parent=parent, attempt=attempt, **fields)


def states(queue, completion) -> list[str]:
    slots = Slot.objects.filter(queue=queue, completion=completion).order_by("number")
    return list(slots.values_list("state", flat=True))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (QueueFilter(), {"passed", "regenerated", "low"}),
        (REJECTED, {"cited", "short", "moss"}),
        (QueueFilter(gate="rejected", reasons=(Reason.CITATION,)), {"cited", "moss"}),
        (QueueFilter(gate="rejected", domains=("moss",)), {"moss"}),
        (QueueFilter(gate="both"), {"passed", "regenerated", "low", "cited", "short", "moss"}),
        (QueueFilter(attempts="regenerated"), {"regenerated"}),
        (QueueFilter(score_min=0.5), {"passed", "regenerated"}),
        (QueueFilter(gate="both", score_max=0.5), {"low"}),
        (QueueFilter(templates=("methodology",)), {"low"}),
        (QueueFilter(domains=("nowhere",)), set()),
    ],
    ids=lambda value: value.describe() if isinstance(value, QueueFilter) else "",
)
def test_each_condition_takes_what_it_says(wanted, names):
    dataset = make_dataset()
    made = {
        "passed": make_completion(dataset=dataset),
        "regenerated": make_completion(dataset=dataset, attempt=2),
        "low": make_completion(dataset=dataset, mean_score=0.4, template_name="methodology"),
        "cited": make_completion(
            dataset=dataset, state="rejected", reasons=[Reason.CITATION, Reason.TOO_SHORT]
        ),
        "short": make_completion(
            dataset=dataset, state="rejected", reasons=[Reason.TOO_SHORT], mean_score=None
        ),
        "moss": make_completion(
            make_sample(dataset, domain="moss"), state="rejected", reasons=[Reason.CITATION]
        ),
        "closed": make_completion(dataset=dataset, is_open=False),
        "new": make_completion(dataset=dataset, state="new"),
    }
    decide(make_completion(dataset=dataset))
    make_completion()
    assert taken_by(wanted, dataset) == {made[name].pk for name in names}


def test_a_share_is_always_the_same_and_grows_by_itself():
    dataset = make_dataset()
    for _ in range(100):
        make_completion(dataset=dataset)
    tenth, same, half = (taken_by(QueueFilter(share=part), dataset) for part in (10, 10, 50))
    assert tenth == same
    assert tenth < half
    assert 0 < len(tenth) <= 30
    assert 25 <= len(half) <= 75


def test_a_persons_accept_takes_back_in_what_the_gate_rejected():
    dataset = make_dataset()
    completion = make_completion(dataset=dataset, state="rejected", reasons=[Reason.LOW_SCORE])
    assert taken_by(REJECTED, dataset) == {completion.pk}
    assert count_eligible(dataset=dataset, policy=Export.Policy.REVIEWED) == 0
    decide(completion)
    assert count_eligible(dataset=dataset, policy=Export.Policy.REVIEWED) == 1


def test_what_fits_no_more_leaves_and_may_return():
    queue = make_queue(1)
    completion = Slot.objects.get().completion
    for state, expected in (("rejected", "superseded"), ("passed", "open")):
        CompletionState.objects.update(state=state)
        for _ in range(2):
            fill_queue(queue_id=queue.pk)
        assert states(queue, completion) == [expected]


def test_a_new_attempt_that_passes_comes_back_into_its_parents_queue():
    dataset = make_dataset()
    first = make_completion(dataset=dataset, state="rejected")
    queue = make_queue(0, dataset=dataset, wanted=REJECTED)
    others = make_queue(0, dataset=dataset, wanted=QueueFilter(gate="rejected", domains=("x",)))
    assert states(queue, first) == ["open"]
    # It was rejected and replaced twice before anybody looked; the third attempt passed.
    third = replace(replace(first, state="rejected"))
    for _ in range(2):
        fill_queues(dataset_id=dataset.pk)
    assert states(queue, first) == ["superseded"]
    assert states(queue, third) == ["open"]
    assert states(others, third) == []


def test_an_attempt_at_another_sample_or_draw_stays_where_it_belongs():
    dataset = make_dataset()
    first = make_completion(dataset=dataset, state="rejected")
    queue = make_queue(0, dataset=dataset, wanted=REJECTED)
    make_completion(dataset=dataset, attempt=2)
    make_completion(first.sample, draw=1, attempt=2)
    fill_queue(queue_id=queue.pk)
    assert queue.slots.count() == 1


def test_who_was_accepted_by_one_is_looked_at_again_where_two_are_wanted():
    dataset = make_dataset()
    completion = make_completion(dataset=dataset)
    decide(completion)
    assert taken_by(QueueFilter(), dataset) == set()
    twice = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=2)
    assert states(twice, completion) == ["open", "open"]
    decide(completion, required_reviews=2)
    fill_queue(queue_id=twice.pk)
    assert states(twice, completion) == ["superseded", "superseded"]


def test_legacy_decisions_stand_for_no_review_where_several_are_wanted():
    dataset = make_dataset()
    completion = make_completion(dataset=dataset)
    decide(completion, is_legacy=True)
    assert completion.label.basis == "legacy"
    assert taken_by(QueueFilter(), dataset) == set()
    twice = make_queue(0, dataset=dataset, wanted=QueueFilter(), required_reviews=2)
    decide(completion, required_reviews=2)
    fill_queue(queue_id=twice.pk)
    assert states(twice, completion) == ["open", "open"]


def test_a_closed_queue_takes_nothing_and_an_open_one_again():
    queue = make_queue(1)
    assert close_queue(queue_id=queue.pk)
    assert not close_queue(queue_id=queue.pk)
    make_completion(dataset=queue.dataset)
    assert fill_queues(dataset_id=queue.dataset_id) == 0
    assert reopen_queue(queue_id=queue.pk)
    assert not reopen_queue(queue_id=queue.pk)
    assert fill_queues(dataset_id=queue.dataset_id) == 1
    assert fill_queue(queue_id=0) == 0


def test_filling_a_queue_that_is_full_asks_little():
    queue = make_queue(3, dataset=make_dataset(), wanted=QueueFilter(score_min=0.1))
    with CaptureQueriesContext(connection) as asked:
        fill_queue(queue_id=queue.pk)
    assert len(asked) <= 10
    assert Queue.objects.count() == 1


def test_a_queue_of_the_flagged_takes_those_that_carry_a_flag() -> None:
    dataset = make_dataset()
    flagged, _plain = (make_completion(make_sample(dataset)) for _ in range(2))
    CompletionState.objects.filter(pk=flagged.pk).update(flags=[Reason.HAZARD])
    wanted = QueueFilter(flagged=True)
    assert taken_by(wanted, dataset) == {flagged.pk}
    assert "flagged ones" in wanted.describe()
    assert not wanted.takes_all_passed
