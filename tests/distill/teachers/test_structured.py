"""How a reply's form is asked for: by provider and model, by setting, deterministically."""

from __future__ import annotations

import orjson
import pytest

from distill.logic.request_key import request_key
from distill.logic.rubric import Rubric, judgement_schema
from distill.logic.templates import SHIPPED, Template, reply_schema, write_reply
from distill.logic.types import Message, Request
from distill.teachers.offline.schema import misfits
from distill.teachers.structured import Setting, response_format

PAIR = reply_schema(SHIPPED["pair"])


def form_of(teacher: str, setting: Setting = "auto") -> str:
    parameters = response_format(teacher, setting, name="pair", schema=PAIR)
    asked = parameters.get("response_format")
    return str(asked["type"]) if isinstance(asked, dict) else "prompt"


@pytest.mark.parametrize(
    ("teacher", "form"),
    [
        ("openai:gpt-4o", "json_schema"),
        ("openai:gpt-4.1-mini", "json_schema"),
        ("openai:gpt-5.2", "json_schema"),
        ("openai:o3-mini", "json_schema"),
        ("openai:gpt-4o-2024-05-13", "json_object"),
        ("openai:gpt-4-turbo", "json_object"),
        ("openai:gpt-3.5-turbo", "json_object"),
        ("openai:gpt-4", "prompt"),
        ("openai:gpt-4-0613", "prompt"),
        ("openai:o1-mini", "prompt"),
        ("openrouter:anthropic/claude-sonnet-5", "json_schema"),
        ("anthropic:claude-opus-5-5", "prompt"),
        ("gemini:gemini-3-flash", "json_schema"),
        ("groq:openai/gpt-oss-120b", "json_schema"),
        ("groq:llama-3.3-70b-versatile", "json_object"),
        ("together:Qwen/Qwen3.5-9B", "json_schema"),
        ("vllm:Qwen/Qwen3-8B", "json_schema"),
        ("ollama:qwen3:8b", "json_schema"),
        ("offline:extractive", "prompt"),
        ("https://host/v1#model", "prompt"),
        ("anything", "prompt"),
    ],
)
def test_auto_takes_the_strictest_form_of_the_provider(teacher: str, form: str) -> None:
    assert form_of(teacher) == form


@pytest.mark.parametrize("teacher", ["openai:gpt-4o", "offline:extractive", "https://h/v1#m"])
def test_any_other_setting_is_sent_as_asked(teacher: str) -> None:
    assert form_of(teacher, "schema") == "json_schema"
    assert form_of(teacher, "json") == "json_object"
    assert form_of(teacher, "prompt") == "prompt"


def test_a_plain_text_has_no_form() -> None:
    schema = reply_schema(SHIPPED["hypothesis"])
    assert schema is None
    assert response_format("openai:gpt-4o", "schema", name="hypothesis", schema=schema) == {}


def test_the_schema_is_strict_and_fits_what_a_perfect_teacher_writes() -> None:
    assert PAIR is not None
    reply = write_reply(SHIPPED["pair"], {"hypothesis": "A", "methodology": "B"})
    assert not misfits(orjson.loads(reply), PAIR)
    for wrong in ({"hypothesis": "A"}, {"hypothesis": "A", "methodology": 1}, {"other": "A"}):
        assert misfits(wrong, PAIR)


def test_a_judgement_has_every_dimension_of_the_rubric_and_no_other() -> None:
    rubric = Rubric()
    schema = judgement_schema(rubric)
    scores = dict.fromkeys(rubric.names, 0.5)
    assert not misfits({"scores": scores, "rationale": "", "flags": ["citation"]}, schema)
    for wrong in (scores | {"more": 1}, {"plausibility": 1}, scores | {"grounding": True}):
        assert misfits({"scores": wrong, "rationale": "", "flags": []}, schema)
    assert misfits({"scores": scores, "rationale": "", "flags": [1]}, schema)


def test_equal_templates_give_equal_keys_and_another_setting_another_call() -> None:
    twin = Template(**SHIPPED["pair"].model_dump())

    def key(template: Template, setting: Setting) -> bytes:
        schema = reply_schema(template)
        parameters = response_format("openai:gpt-4o", setting, name=template.name, schema=schema)
        return request_key(Request("openai:gpt-4o", (Message("user", "?"),), parameters))

    assert key(twin, "auto") == key(SHIPPED["pair"], "schema")
    assert len({key(twin, "schema"), key(twin, "json"), key(twin, "prompt")}) == 3


def test_a_name_of_any_letters_becomes_one_that_the_protocol_takes() -> None:
    parameters = response_format("vllm:m", "schema", name="pär " + "x" * 90, schema=PAIR)
    asked = parameters["response_format"]
    assert isinstance(asked, dict)
    assert asked["json_schema"]["name"] == "p_r_" + "x" * 60
