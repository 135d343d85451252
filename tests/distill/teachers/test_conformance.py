"""The official `openai` client works unchanged against the offline teacher."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from distill.logic.rubric import Rubric, judgement_schema
from distill.logic.templates import SHIPPED, reply_schema
from distill.teachers.offline import offline_teacher
from distill.teachers.structured import response_format

PASSAGE = (
    "The effect of nitrate pulses on blade growth was measured in 40 kelp plants over 21 days. "
    "Blade growth was higher in pulsed tanks than in steady tanks."
)
PROMPT = (
    f"<passage>\n{PASSAGE}\n</passage>\n\n"
    'Reply with a JSON object with exactly these keys: "hypothesis", "methodology".'
)
ASKED: dict[str, Any] = {
    "model": "extractive",
    "messages": [{"role": "user", "content": PROMPT}],
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with offline_teacher(0) as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0) as opened:
        yield opened
    misbehave(base_url, "none")


def misbehave(base_url: str, faults: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - always http on loopback
        base_url.removesuffix("/v1") + "/misbehave", data=json.dumps({"faults": faults}).encode()
    )
    urllib.request.urlopen(request).close()  # noqa: S310


def test_it_lists_the_models(client):
    models = list(client.models.list())
    assert [model.id for model in models] == ["extractive", "rubric"]
    assert {model.owned_by for model in models} == {"nexa-distill"}


def test_it_creates_a_completion(client):
    completion = client.chat.completions.create(**ASKED, temperature=0.7, seed=3)
    content = completion.choices[0].message.content
    assert content is not None
    assert json.loads(content).keys() == {"hypothesis", "methodology"}
    assert completion.object == "chat.completion"
    assert completion.model == "offline-extractive"
    assert completion.system_fingerprint == "stand-in"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.refusal is None


def test_it_counts_tokens_in_every_field(client):
    usage = client.chat.completions.create(**ASKED, reasoning_effort="medium").usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 100
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens > 0


def test_it_finds_the_reasoning_apart(client):
    thinking = client.chat.completions.create(**ASKED, reasoning_effort="high")
    assert thinking.choices[0].message.reasoning_content
    plain = client.chat.completions.create(**ASKED)
    assert not hasattr(plain.choices[0].message, "reasoning_content")


def test_it_reads_the_raw_response(client, base_url):
    misbehave(base_url, "rpm=5")
    response = client.chat.completions.with_raw_response.create(**ASKED)
    assert response.status_code == 200
    assert response.headers["x-ratelimit-limit-requests"] == "5"
    assert response.parse().choices[0].message.role == "assistant"


def test_it_works_asynchronously(base_url):
    async def run() -> str | None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any") as client:
            asked = ASKED | {"model": "rubric"}
            completion = await client.chat.completions.create(**asked)
            return str(completion.choices[0].message.content)

    assert json.loads(str(asyncio.run(run()))).keys() == {"scores", "rationale", "flags"}


def test_a_schema_is_kept(client):
    schema = reply_schema(SHIPPED["pair"])
    wanted = response_format("offline:extractive", "schema", name="pair", schema=schema)
    content = client.chat.completions.create(**ASKED, **wanted).choices[0].message.content
    assert json.loads(content).keys() == {"hypothesis", "methodology"}
    any_json = response_format("offline:extractive", "json", name="pair", schema=schema)
    assert client.chat.completions.create(**ASKED, **any_json).choices[0].message.content


def test_a_judges_schema_is_kept(client):
    names = ", ".join(f'"{name}"' for name in Rubric().names)
    prompt = (
        f"<passage>\n{PASSAGE}\n</passage>\n\n<answer>\nPulses raise growth.\n</answer>\n\n"
        'Reply with a JSON object with exactly these keys: "scores", "rationale", "flags".\n'
        f'"scores" has exactly these keys, each a number from 0 to 1: {names}.'
    )
    wanted = response_format(
        "offline:rubric", "schema", name="judgement", schema=judgement_schema(Rubric())
    )
    completion = client.chat.completions.create(
        model="rubric", messages=[{"role": "user", "content": prompt}], **wanted
    )
    scores = json.loads(completion.choices[0].message.content)["scores"]
    assert tuple(scores) == Rubric().names


def test_a_schema_that_the_prompt_does_not_ask_for_is_refused(client):
    schema = judgement_schema(Rubric())
    wanted = response_format("offline:extractive", "schema", name="judgement", schema=schema)
    with pytest.raises(openai.BadRequestError, match="has no 'scores'"):
        client.chat.completions.create(**ASKED, **wanted)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ("rate_limited=1,retry_after=3", openai.RateLimitError),
        ("rpm=0.001", openai.RateLimitError),
        ("unavailable=1", openai.InternalServerError),
        ("server=1", openai.InternalServerError),
        ("reset=1", openai.APIConnectionError),
        ("hang=1", openai.APITimeoutError),
    ],
)
def test_it_understands_each_error(client, base_url, faults, error):
    misbehave(base_url, faults)
    with pytest.raises(error) as caught:
        client.with_options(timeout=0.5).chat.completions.create(**ASKED)
    if isinstance(caught.value, openai.APIStatusError):
        assert caught.value.body["code"] in {"rate_limit_exceeded", "overloaded", "server_error"}
    if isinstance(caught.value, openai.RateLimitError):
        assert float(caught.value.response.headers["Retry-After"]) > 0


def test_it_understands_what_is_wrong_with_a_request(client):
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-4o' here"):
        client.chat.completions.create(**ASKED | {"model": "gpt-4o"})
    with pytest.raises(openai.BadRequestError, match="messages must not be empty"):
        client.chat.completions.create(model="extractive", messages=[])
    with pytest.raises(openai.BadRequestError, match="does not stream"):
        client.chat.completions.create(**ASKED, stream=True)


def test_it_sees_what_was_cut_off(client):
    completion = client.chat.completions.create(**ASKED, max_tokens=10)
    assert completion.choices[0].finish_reason == "length"
    completion = client.chat.completions.create(**ASKED, max_completion_tokens=1000)
    assert completion.choices[0].finish_reason == "stop"
