"""What a run is expected to cost: from a pilot's replies, from sizes, and what is paid for already."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.urls import reverse

from distill.logic.recipe import Recipe as Content
from distill.logic.request_key import request_key
from distill.models import Call, Purchase, Run
from distill.queries.runs import Preview, preview_run
from distill.queries.sent_messages import first_messages, teacher_request
from tests.builders import make_dataset, make_recipe, make_run, make_sample, make_user
from tests.distill.test_run_money import answer, buy

pytestmark = pytest.mark.django_db

PRICE = {"input_per_million": 1.0, "output_per_million": 2.0}
CONTENT = {
    "teacher": {"name": "openai:model-x", "price": PRICE, "max_tokens": 100},
    "judges": [{"name": "J", "teacher": "openai:model-y", "price": PRICE}],
}


def look(dataset, recipe: Content | None = None, **more: Any) -> Preview:
    choice: dict[str, Any] = {"kind": "pipeline", "sample_limit": None} | more
    return preview_run(dataset=dataset, recipe=recipe or Content.model_validate(CONTENT), **choice)


@pytest.fixture
def dataset():
    found = make_dataset()
    for _ in range(3):
        make_sample(found)
    return found


def ask(dataset, *, teacher="openai:model-x", times=1, **fields):
    """Replies that a run over the dataset has bought before."""
    run = make_run(dataset, recipe=make_recipe(**CONTENT), state=Run.State.DONE)
    for number in range(times):
        key = f"{teacher} {run.pk} {number}".encode().ljust(32)[:32]
        call = Call.objects.create(key=key, teacher=teacher)
        tokens = {"prompt_tokens": 300, "completion_tokens": 50} | fields.pop("tokens", {})
        answer(buy(run, call=call, **fields), 0, **tokens)


def test_without_a_pilot_it_is_reckoned_from_bytes_and_says_so(dataset):
    teacher, judge = look(dataset).estimates
    assert (teacher.label, teacher.teacher, teacher.count) == ("Teacher", "openai:model-x", 3)
    assert (judge.label, judge.teacher) == ("Judge J", "openai:model-y")
    assert teacher.basis == judge.basis == "estimated: bytes ÷ 4, replies half as long as allowed"
    assert 0 < teacher.likely_nano < teacher.at_most_nano


def test_a_pilots_replies_tell_more(dataset):
    ask(dataset, times=4)
    teacher, judge = look(dataset).estimates
    assert teacher.basis == "from 4 replies of this model"
    assert teacher.likely_nano == 3 * (300 * 1_000 + 50 * 2_000)
    assert judge.num_replies == 0


def test_a_judge_has_a_pilot_of_its_own(dataset):
    ask(dataset, teacher="openai:model-y", stage=Purchase.Stage.JUDGE)
    teacher, judge = look(dataset).estimates
    assert (teacher.num_replies, judge.basis) == (0, "from 1 reply of this model")


@pytest.mark.parametrize(
    "fields",
    [
        {"teacher": "openai:other"},
        {"template_name": "hypothesis"},
        {"stage": Purchase.Stage.REGENERATE},
        {"tokens": {"prompt_tokens": None}},
        {"tokens": {"outcome": "server"}},
    ],
)
def test_what_was_asked_otherwise_is_no_pilot(dataset, fields):
    ask(dataset, **fields)
    assert look(dataset).estimates[0].num_replies == 0


def test_another_datasets_replies_are_no_pilot(dataset):
    ask(make_dataset())
    assert look(dataset).estimates[0].num_replies == 0


def test_what_the_ledger_knows_of_the_first_requests_is_counted(dataset):
    recipe = Content.model_validate(CONTENT | {"teacher": CONTENT["teacher"] | {"draws": 2}})
    run = make_run()
    samples = list(dataset.samples.order_by("pk"))
    for sample, draw in itertools.product(samples[:2], [0]):
        messages = first_messages(recipe, sample)
        request = teacher_request(recipe, sample.template_name, messages, draw=draw)
        call = Call.objects.create(key=request_key(request), teacher="openai:model-x")
        answer(buy(run, call=call), 0)
    preview = look(dataset, recipe)
    assert (preview.num_known, preview.num_measured) == (2, 6)
    assert look(dataset).num_known == 2
    assert look(dataset, kind="judge").num_measured == 0


def test_an_unpriced_judge_makes_the_whole_unpriced_but_not_the_teacher(dataset):
    judge = {"name": "J", "teacher": "openai:unheard-of"}
    preview = look(dataset, Content.model_validate(CONTENT | {"judges": [judge]}))
    assert preview.likely_nano is None
    assert preview.estimates[0].likely_nano is not None
    assert preview.unpriced == ("openai:unheard-of",)


def test_the_page_says_how_it_is_known_and_starts_a_pilot(client, dataset, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    client.force_login(make_user("operator"))
    ask(dataset)
    recipe = make_recipe(**CONTENT)
    choice = {"dataset": dataset.pk, "recipe": recipe.pk, "kind": "pipeline"}
    page = client.get(reverse("distill:start_run"), choice).text
    assert "from 1 reply of this model" in page
    assert "estimated: bytes ÷ 4" in page
    answered = client.post(reverse("distill:start_run"), choice | {"action": "pilot"})
    assert answered.status_code == 302, answered.context["form"].errors
    assert Run.objects.latest("pk").sample_limit == 20
