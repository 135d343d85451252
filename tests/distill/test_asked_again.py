"""What follows from a reply: asked once more where it was cut off, each judge's opinion kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from django.utils import timezone

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.reasons import Reason
from distill.logic.types import Reply, Usage
from distill.models import (
    Call,
    Completion,
    CompletionState,
    Judgement,
    Purchase,
    Run,
    SampleDraw,
    Verdict,
)
from distill.models import Reply as ReplyRow
from distill.queries.sent_messages import sent_messages
from distill.services.advance import begin, give_up, take_replies
from distill.services.feed import fetch_pending
from distill.services.ledger import Bought, Delivery, Known, buy, settle
from distill.services.orders import Answered, Job, Order, longer_order, make_job
from tests.builders import PAIR, SCORES, make_dataset, make_recipe, make_run, make_sample

pytestmark = pytest.mark.django_db

PRICE = {"input_per_million": 1.0, "output_per_million": 2.0}
TEACHER = {"name": "vllm:model", "max_tokens": 100, "price": PRICE}
PASSAGE = (
    "Below 12 % soil moisture, nitrifying bacteria lose half of their activity in soil cores. "
)
JUDGED = {"scores": SCORES, "rationale": "Fine.", "flags": []}


def start(**content: object) -> tuple[Run, Job, list[Order]]:
    """A run over one sample, and the first order of it."""
    dataset = make_dataset()
    recipe = make_recipe(**({"teacher": TEACHER, "judges": []} | content))
    run = make_run(dataset, recipe=recipe, budget_nano=10**12)
    SampleDraw.objects.create(run=run, sample=make_sample(dataset, text=PASSAGE))
    job = make_job(run)
    return run, job, begin(job, fetch_pending(job, after_id=0, last_id=2**62, limit=10))


def said(value: object, *, finish_reason: str = "stop", reasoning: str = "") -> Reply:
    text = orjson.dumps(value).decode()
    usage = Usage(prompt_tokens=10, completion_tokens=20)
    return Reply(text.encode(), text, finish_reason, "model", usage, 5, reasoning)


def answer(run: Run, job: Job, order: Order, reply: Reply) -> list[Order]:
    """Buy it, unless the ledger knows it, and take the reply one stage further."""
    answers = buy(
        run_id=run.id, wishes=[order.wish], now=timezone.now(), deadline=timedelta(minutes=1)
    )
    bought = answers[order.wish.key]
    if isinstance(bought, Bought):
        settle(
            run_id=run.id,
            deliveries=[Delivery(bought.purchase_id, bought.call_id, order.wish, reply)],
        )
    assert isinstance(bought, Bought | Known)
    return take_replies(job, [Answered(order, bought.call_id, reply)])


def test_a_reply_that_was_cut_off_is_asked_for_once_more_with_a_larger_limit() -> None:
    run, job, (order,) = start()
    (longer,) = answer(run, job, order, said("{", finish_reason="length"))
    assert not Completion.objects.exists()
    assert longer.wish.request.parameters["max_tokens"] == 200
    assert longer.wish.request.messages == order.wish.request.messages
    assert (longer.wish.bound_nano or 0) - (order.wish.bound_nano or 0) == 100 * 2000
    assert answer(run, job, longer, said(PAIR)) == []
    completion = Completion.objects.select_related("sample", "recipe", "call", "parent").get()
    assert SampleDraw.objects.get().state == "passed"
    assert Call.objects.count() == 2
    sent = sent_messages(completion)
    assert sent is not None
    assert sent.is_verified


def test_cut_off_again_it_is_kept_as_truncated() -> None:
    run, job, (order,) = start(regeneration={"max_attempts": 1})
    (longer,) = answer(run, job, order, said(PAIR, finish_reason="length"))
    assert answer(run, job, longer, said(PAIR, finish_reason="length")) == []
    assert Completion.objects.get().finish_reason == "length"
    assert Verdict.objects.get().reasons == [Reason.TRUNCATED]


def test_where_the_recipe_wants_no_longer_reply_the_first_is_kept() -> None:
    run, job, (order,) = start(retry={"longer": 1}, regeneration={"max_attempts": 1})
    assert longer_order(job, order) is None
    assert answer(run, job, order, said(PAIR, finish_reason="length")) == []
    assert Verdict.objects.get().reasons == [Reason.TRUNCATED]


def test_what_the_first_limit_allowed_is_proved_as_well() -> None:
    run, job, (order,) = start()
    answer(run, job, order, said(PAIR))
    completion = Completion.objects.select_related("sample", "recipe", "call", "parent").get()
    sent = sent_messages(completion)
    assert sent is not None
    assert sent.is_verified
    assert sent.messages == order.wish.request.messages


def test_a_reply_that_does_not_fit_the_template_is_kept_and_not_bought_again() -> None:
    run, job, (order,) = start(regeneration={"max_attempts": 1})
    assert answer(run, job, order, said("no object")) == []
    assert Verdict.objects.get().reasons[0] == Reason.UNPARSEABLE
    assert SampleDraw.objects.get().state == "rejected"
    assert ReplyRow.objects.get().outcome == ReplyRow.ACCEPTED


def test_a_judges_reply_that_was_cut_off_is_asked_for_once_more_too() -> None:
    run, job, (order,) = start(judges=[{"teacher": "vllm:judge", "max_tokens": 50, "price": PRICE}])
    (judging,) = answer(run, job, order, said(PAIR))
    (longer,) = answer(run, job, judging, said("{", finish_reason="length"))
    assert longer.wish.request.parameters["max_tokens"] == 100
    assert answer(run, job, longer, said(JUDGED)) == []
    assert SampleDraw.objects.get().state == "passed"


def test_two_judges_that_share_a_call_both_have_their_say() -> None:
    judges = [{"name": name, "teacher": "vllm:judge", "price": PRICE} for name in "FG"]
    run, job, (order,) = start(judges=judges)
    judging = answer(run, job, order, said(PAIR))
    assert len({one.wish.key for one in judging}) == 1
    for one in judging:
        assert answer(run, job, one, said(JUDGED)) == []
    assert sorted(Judgement.objects.values_list("judge", flat=True)) == ["F", "G"]
    assert Purchase.objects.filter(stage="judge").count() == 1
    assert SampleDraw.objects.get().state == "passed"


def test_purchases_say_for_what_they_were() -> None:
    run, job, (order,) = start(judges=[{"teacher": "vllm:judge", "price": PRICE}])
    (judging,) = answer(run, job, order, said(PAIR))
    (again,) = answer(run, job, judging, said(JUDGED | {"scores": dict.fromkeys(SCORES, 0.1)}))
    answer(run, job, again, said(PAIR | {"hypothesis": "Other. " * 40}))
    stages = Purchase.objects.order_by("id").values_list("stage", "template_name")
    assert list(stages) == [("generate", "pair"), ("judge", "pair"), ("regenerate", "pair")]


def test_what_a_model_thought_is_kept_apart() -> None:
    run, job, (order,) = start()
    answer(run, job, order, said(PAIR, reasoning="First,\0 I think."))
    completion = Completion.objects.get()
    assert completion.reasoning == "First,\ufffd I think."
    assert "think" not in completion.text


def test_a_schema_is_asked_for_and_reckoned_with() -> None:
    _run, _job, (plain,) = start(teacher=TEACHER | {"structured_output": "prompt"})
    _run, _job, (strict,) = start(teacher=TEACHER | {"structured_output": "schema"})
    form = strict.wish.request.parameters["response_format"]
    assert "response_format" not in plain.wish.request.parameters
    samples = [len(one.wish.request.messages[-1].content) for one in (plain, strict)]
    extra = (strict.wish.bound_nano or 0) - (plain.wish.bound_nano or 0)
    assert extra == (len(orjson.dumps(form)) + samples[1] - samples[0]) * 1000


def test_what_is_given_up_says_how_often_it_was_asked() -> None:
    _run, job, (order,) = start()
    order, count = order.after(FailureKind.RATE_LIMITED)
    order, broken = order.after(FailureKind.EMPTY)
    order, failures = order.after(FailureKind.SERVER)
    assert (count, broken, failures) == (1, 1, 1)
    for _time in range(2):
        give_up(job, order, TeacherError(FailureKind.SERVER, "down"), order.attempts)
    row = SampleDraw.objects.get()
    assert (row.state, row.failure_kind, row.failure_attempts) == ("failed", "server", 3)


def test_taking_the_same_reply_twice_changes_nothing() -> None:
    run, job, (order,) = start()
    first = answer(run, job, order, said(PAIR))
    before = counts()
    (order,) = begin(job, [replace(order.work, completion=None, verdict_id=None, found=())])
    assert answer(run, job, order, said(PAIR)) == first == []
    assert counts() == before


def counts() -> Sequence[object]:
    state = CompletionState.objects.get()
    numbers = [model.objects.count() for model in (Call, Purchase, ReplyRow, Completion, Verdict)]
    return (*numbers, state.state, state.is_open, state.verdict_id)
