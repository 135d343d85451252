"""`manage.py check_teacher`: what it prints, and what it says to do."""

from __future__ import annotations

from io import StringIO

import pytest
from aiohttp.test_utils import unused_port
from django.core.management import CommandError, call_command

from distill.teachers.offline import offline_teacher


@pytest.fixture(scope="module")
def url():
    with offline_teacher(0) as base_url:
        yield base_url


def run(*arguments: str) -> str:
    printed = StringIO()
    call_command("check_teacher", *arguments, stdout=printed)
    return printed.getvalue()


def test_it_prints_model_latency_and_answer(url):
    printed = run(f"{url}#extractive")
    assert f"{url}#extractive answered in" in printed
    assert "ms as offline-extractive:" in printed
    assert len(printed.splitlines()) > 1


def test_it_lists_the_models(url):
    assert run(url, "--models").splitlines() == [f"{url}#extractive", f"{url}#rubric"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["gpt-4o"], "openai:gpt-4o"),
        (["nobody", "--models"], "no provider"),
        (["openai:gpt-4o"], "OPENAI_API_KEY"),
        (["openai", "--models"], "OPENAI_API_KEY"),
        (["vllm:m"], "start it or set VLLM_BASE_URL"),
        (["vllm", "--models"], "start it or set VLLM_BASE_URL"),
        (["vllm:m", "--timeout=0"], "--timeout takes seconds"),
    ],
)
def test_it_says_what_to_do(monkeypatch, arguments, hint):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(CommandError, match=hint):
        run(*arguments)
