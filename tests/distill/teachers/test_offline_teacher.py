"""The offline teacher over real HTTP: the protocol, its faults, its account, its life."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.retry import Deadlines
from distill.logic.types import Message, Reply, Request
from distill.teachers.offline import offline_teacher
from distill.teachers.offline.limits import Bucket
from distill.teachers.offline.misbehave import PRESETS, Fault, parse_faults, parse_latency
from distill.teachers.offline.process import is_running
from distill.teachers.registry import open_teachers

PASSAGE = (
    "The effect of nitrate pulses on blade growth was measured in 40 kelp plants over 21 days. "
    "Blade growth was higher in pulsed tanks than in steady tanks."
)
PROMPT = (
    f"<passage>\n{PASSAGE}\n</passage>\n\n"
    'Reply with a JSON object with exactly these keys: "hypothesis", "methodology".'
)
QUESTION = Request("offline:extractive", (Message("user", PROMPT),))


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with offline_teacher(0) as url:
        yield url


@pytest.fixture
def teacher_url(base_url: str) -> Iterator[str]:
    """A teacher that behaves, with an empty account; it is put in order again afterwards."""
    call(base_url, "/stats", method="DELETE")
    yield base_url
    misbehave(base_url, "none")


def call(base_url: str, path: str, data: Any = None, method: str | None = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(  # noqa: S310 - always http on loopback
        base_url.removesuffix("/v1") + path, data=body, method=method
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return json.load(response)


def misbehave(base_url: str, faults: str, latency: str = "0") -> None:
    call(base_url, "/misbehave", {"faults": faults, "latency": latency})


def ask_all(
    base_url: str, questions: list[Request], **deadlines: float
) -> list[Reply | TeacherError]:
    async def run() -> list[Any]:
        limits = Deadlines(**deadlines)
        async with open_teachers(slots=8, offline_url=base_url, deadlines=limits) as teachers:
            return await asyncio.gather(*map(teachers.ask, questions), return_exceptions=True)

    return asyncio.run(run())


def ask(base_url: str, question: Request = QUESTION, **deadlines: float) -> Reply:
    (reply,) = ask_all(base_url, [question], **deadlines)
    if isinstance(reply, TeacherError):
        raise reply
    return reply


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limited", FailureKind.RATE_LIMITED),
        ("unavailable", FailureKind.RATE_LIMITED),
        ("server", FailureKind.SERVER),
        ("reset", FailureKind.CONNECTION),
        ("broken_envelope", FailureKind.BROKEN_ENVELOPE),
        ("empty", FailureKind.EMPTY),
        ("slow", FailureKind.TIMEOUT),
        ("hang", FailureKind.TIMEOUT),
    ],
)
def test_each_fault_of_the_wire_has_its_kind(teacher_url, fault, kind):
    misbehave(teacher_url, f"{fault}=1,retry_after=2,slow_seconds=0.6")
    with pytest.raises(TeacherError) as caught:
        ask(teacher_url, total_seconds=0.3 if fault in ("slow", "hang") else 10.0)
    assert caught.value.kind is kind
    if kind is FailureKind.RATE_LIMITED:
        assert caught.value.retry_after == 2.0
    is_billed = Fault(fault).is_billed
    assert call(teacher_url, "/stats")["completions"] == (1 if is_billed else 0)


def test_faults_of_the_content_arrive_as_replies(teacher_url):
    def text_with(fault: str) -> str:
        misbehave(teacher_url, f"{fault}=1")
        return ask(teacher_url).text

    assert text_with("refusal").startswith("I'm sorry")
    assert json.loads(text_with("missing_field")).keys() == {"hypothesis"}
    assert "et al." in json.loads(text_with("citations"))["hypothesis"]
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra"):
        json.loads(text_with("broken_json"))
    misbehave(teacher_url, "truncated=1")
    assert ask(teacher_url).finish_reason == "length"


def test_the_same_request_gets_the_same_reply(teacher_url):
    first, second, other = ask_all(
        teacher_url, [QUESTION, QUESTION, replace(QUESTION, parameters={"seed": 9})]
    )
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert isinstance(other, Reply)
    assert first.text == second.text
    assert first.text != other.text


def test_further_draws_differ(teacher_url):
    replies = ask_all(teacher_url, [replace(QUESTION, draw=draw) for draw in range(4)])
    assert len({reply.text for reply in replies if isinstance(reply, Reply)}) == 4


def test_max_tokens_is_kept(teacher_url):
    reply = ask(teacher_url, replace(QUESTION, parameters={"max_tokens": 10}))
    assert reply.finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= 10


def test_what_was_cut_off_is_whole_with_a_larger_limit(teacher_url):
    short = ask(teacher_url, replace(QUESTION, parameters={"max_tokens": 10}))
    whole = ask(teacher_url, replace(QUESTION, parameters={"max_tokens": 1000}))
    assert (short.finish_reason, whole.finish_reason) == ("length", "stop")
    assert call(teacher_url, "/stats")["bought_twice"] == 0


def test_it_thinks_when_asked_to(teacher_url):
    def asked(effort: str, max_tokens: int) -> Request:
        return replace(QUESTION, parameters={"reasoning_effort": effort, "max_tokens": max_tokens})

    reply = ask(teacher_url, asked("high", 1000))
    assert reply.reasoning
    assert json.loads(reply.text).keys() == {"hypothesis", "methodology"}
    assert reply.usage is not None
    assert 0 < reply.usage.reasoning_tokens < reply.usage.completion_tokens
    assert not ask(teacher_url, asked("none", 1000)).reasoning
    with pytest.raises(TeacherError) as caught:
        ask(teacher_url, asked("high", 8))
    assert caught.value.kind is FailureKind.TRUNCATED
    assert caught.value.usage is not None


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_a_client_that_has_gone_away_holds_no_place(teacher_url, fault):
    misbehave(teacher_url, f"{fault}=1,slow_seconds=60")
    with pytest.raises(TeacherError):
        ask(teacher_url, first_byte_seconds=0.2)
    misbehave(teacher_url, "none,capacity=1")
    assert ask(teacher_url).text


def test_requests_a_minute_are_kept_and_told(teacher_url):
    misbehave(teacher_url, "rpm=2")
    first, second, third = (ask_all(teacher_url, [QUESTION])[0] for _ in range(3))
    assert isinstance(first, Reply)
    assert first.rate_limits is not None
    assert (first.rate_limits.requests.limit, first.rate_limits.requests.remaining) == (2, 1)
    assert isinstance(second, Reply)
    assert isinstance(third, TeacherError)
    assert third.kind is FailureKind.RATE_LIMITED
    assert third.retry_after is not None
    assert 0 < third.retry_after <= 30
    assert third.rate_limits is not None
    assert third.rate_limits.requests.remaining == 0
    assert call(teacher_url, "/stats")["completions"] == 2


def test_only_so_many_are_served_at_once(teacher_url):
    misbehave(teacher_url, "capacity=3", latency="0.3")
    outcomes = ask_all(teacher_url, [replace(QUESTION, draw=draw) for draw in range(8)])
    refused = [outcome for outcome in outcomes if isinstance(outcome, TeacherError)]
    assert len(refused) == 5
    assert {error.kind for error in refused} == {FailureKind.RATE_LIMITED}
    stats = call(teacher_url, "/stats")
    assert (stats["completions"], stats["by_fault"]["capacity"]) == (3, 5)


def test_the_bucket_refills_steadily():
    bucket = Bucket.full(60, now=0.0)
    assert all(bucket.take(0.0) == 0 for _ in range(60))
    assert bucket.take(0.0) == 1.0
    assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0.0
    assert bucket.take(1.0) == 1.0
    assert bucket.take(1000.0) == 0.0
    assert bucket.headers()["x-ratelimit-remaining-requests"] == "59"
    assert bucket.headers()["x-ratelimit-reset-requests"] == "1.000s"


def test_the_account_counts_by_request(teacher_url):
    ask_all(teacher_url, [QUESTION, QUESTION, replace(QUESTION, draw=1)])
    stats = call(teacher_url, "/stats")
    assert (stats["requests"], stats["completions"], stats["distinct"]) == (3, 3, 2)
    assert stats["bought_twice"] == 1
    assert sorted(entry["completions"] for entry in stats["by_request"].values()) == [1, 2]


def test_faults_depend_on_seed_request_and_times_seen(teacher_url):
    def outcomes() -> list[str]:
        call(teacher_url, "/stats", method="DELETE")
        questions = [replace(QUESTION, draw=draw) for draw in range(12)] * 2
        return [
            outcome.kind if isinstance(outcome, TeacherError) else "good"
            for question in questions
            for outcome in ask_all(teacher_url, [question])
        ]

    misbehave(teacher_url, "server=0.3,rate_limited=0.2,seed=4")
    first = outcomes()
    assert first == outcomes()
    assert first[:12] != first[12:]
    misbehave(teacher_url, "server=0.3,rate_limited=0.2,seed=5")
    assert first != outcomes()


def test_latency_is_kept(teacher_url):
    misbehave(teacher_url, "none", latency="0.2")
    assert ask(teacher_url).latency_ms >= 200


def test_a_request_that_is_none_is_refused(teacher_url):
    bodies: list[Any] = [{}, {"messages": []}, {"messages": [{"role": "user"}]}, []]
    for body in bodies:
        with pytest.raises(urllib.error.HTTPError) as caught:
            call(teacher_url, "/v1/chat/completions", body)
        assert caught.value.code == 400
        caught.value.close()


def test_wrong_faults_are_refused_and_change_nothing(teacher_url):
    misbehave(teacher_url, "citations=0.5")
    bodies: list[Any] = [{"faults": "nonsense"}, {"latency": "x"}, []]
    for wrong in bodies:
        with pytest.raises(urllib.error.HTTPError) as caught:
            call(teacher_url, "/misbehave", wrong)
        caught.value.close()
    assert call(teacher_url, "/healthz")["faults"] == {"citations": 0.5}


@pytest.mark.parametrize(
    "text", ["nonsense", "server=x", "server=2", "server=0.6,reset=0.6", "server=-1", "server=nan"]
)
def test_faults_that_make_no_sense_are_input_errors(text):
    with pytest.raises(InputError):
        parse_faults(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "lognormal:", "lognormal:1:x"])
def test_latencies_that_make_no_sense_are_input_errors(text):
    with pytest.raises(InputError):
        parse_latency(text)


def test_presets_and_overrides_are_read():
    assert parse_faults("none").rates == {}
    moderate = parse_faults("moderate,citations=0.2,seed=3")
    assert moderate.rates[Fault.CITATIONS] == 0.2
    assert moderate.seed == 3
    # A hanging request would hold its slot for minutes in a demonstration.
    assert set(PRESETS["moderate"]) == set(Fault) - {Fault.HANG}


def test_rates_are_kept_over_many_requests():
    faults = parse_faults("server=0.1")
    hits = sum(faults.choose(f"request {number}", 0) is Fault.SERVER for number in range(4000))
    assert 330 < hits < 470


def test_a_lognormal_latency_has_its_median():
    latency = parse_latency("lognormal:0.5")
    seconds = sorted(latency.seconds(f"request {number}", 0) for number in range(2001))
    assert 0.45 < seconds[1000] < 0.55


def test_one_that_runs_already_is_used(base_url, monkeypatch):
    port = int(base_url.rsplit(":", 1)[1].removesuffix("/v1"))
    monkeypatch.setenv("OFFLINE_TEACHER_PORT", str(port))
    with offline_teacher() as url:
        assert url == base_url
    assert is_running(port)


def test_a_strange_service_on_the_port_is_left_alone(monkeypatch):
    monkeypatch.setattr("distill.teachers.offline.process._PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        monkeypatch.setenv("OFFLINE_TEACHER_PORT", str(port))
        with offline_teacher() as url:
            assert str(port) not in url
            assert ask(url).text


def test_it_ends_with_its_block():
    with offline_teacher(0) as url:
        port = int(url.rsplit(":", 1)[1].removesuffix("/v1"))
        assert is_running(port)
    assert not is_running(port)


def test_it_ends_with_a_parent_that_is_killed():
    program = (
        "import time\n"
        "from distill.teachers.offline import offline_teacher\n"
        "with offline_teacher(0) as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().strip().rsplit(":", 1)[1].removesuffix("/v1"))
        assert is_running(port)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while is_running(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(port)


def test_it_is_there_without_django():
    code = "import sys, distill.teachers.offline.server as s; assert 'django' not in sys.modules"
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


@pytest.mark.parametrize("option", ["--misbehave=nonsense", "--latency=x"])
def test_the_command_refuses_what_makes_no_sense(option):
    with pytest.raises(CommandError):
        call_command("offline_teacher", "--port=0", option)


def test_the_command_says_that_a_port_is_taken(base_url):
    port = base_url.rsplit(":", 1)[1].removesuffix("/v1")
    with pytest.raises(CommandError, match=f"port {port} is taken"):
        call_command("offline_teacher", f"--port={port}", stdout=StringIO())
