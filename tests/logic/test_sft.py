from __future__ import annotations

import hashlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.prices import FREE
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.sft import (
    SFT_SCHEMA,
    gate_version,
    params_json,
    prompt_version,
    sft_bytes,
    sft_row,
)
from distill.logic.templates import SHIPPED
from distill.logic.types import Message, Scores

MESSAGES = (
    Message("system", "Be exact."),
    Message("user", "Why?"),
    Message("assistant", "1. Mix\n2. Wash → dry\u2028é"),
)


def row(**change):
    values = {
        "messages": MESSAGES,
        "completion_id": "c1",
        "parent_id": None,
        "sample_id": "s1",
        "source_id": "d1",
        "source_text": "Soils dry.",
        "source_license": "CC-BY-4.0",
        "domain": "biology",
        "template_name": "pair",
        "split": "train",
        "teacher": "offline:extractive",
        "model": "extractive",
        "teacher_params": params_json({"temperature": 0.2, "max_tokens": 1024}),
        "prompt_version": "pair@0123456789ab",
        "draw": 0,
        "attempt": 1,
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": None,
        "cost_nano": 1_500,
        "judge_models": {"openai:b", "openai:a"},
        "judge_scores": [Scores("F", {"plausibility": 1, "grounding": 0.5})],
        "mean_score": 0.75,
        "gate_version": "0123456789ab",
        "gate_reasons": [Reason.CITATION],
        "gate_flags": [Reason.SAFETY],
        "decision": "accept",
        "label_basis": "single",
        "reviewer": "reviewer-1",
        "recipe_hash": "ab" * 32,
    }
    return sft_row(**{**values, **change})


def from_parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SFT_SCHEMA), file)
    return pq.read_table(io.BytesIO(file.getvalue()))


def test_messages_come_first_with_nothing_but_role_and_content():
    found = row()
    assert next(iter(found)) == "messages"
    assert [list(message) for message in found["messages"]] == [["role", "content"]] * 3


def test_fields_and_schema_are_the_same_in_the_same_order():
    assert list(row()) == SFT_SCHEMA.names


@given(st.text(), st.none() | st.text(), st.none() | st.floats(0, 1))
def test_both_forms_hold_the_same(text, maybe, score):
    rows = [
        row(
            messages=(Message("user", text), Message("assistant", text)),
            parent_id=maybe,
            mean_score=score,
            judge_scores=[],
        ),
        row(decision=maybe, domain=text),
    ]
    assert from_parquet(rows).to_pylist() == [json.loads(sft_bytes(value)) for value in rows]


def test_a_column_without_a_value_keeps_its_type():
    assert from_parquet([row(mean_score=None)]).schema == SFT_SCHEMA


def test_a_row_is_one_line_that_keeps_newlines_and_letters():
    line = sft_bytes(row())
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert "→".encode() in line
    assert json.loads(line)["messages"][2]["content"] == MESSAGES[2].content
    assert sft_bytes(row()) == line


def test_the_system_message_can_be_left_out_without_changing_the_prompts_id():
    short = row(include_system=False)
    assert [message["role"] for message in short["messages"]] == ["user", "assistant"]
    assert short["prompt_id"] == row()["prompt_id"]


def test_the_prompts_id_depends_on_the_prompt_alone():
    other_answer = row(messages=(*MESSAGES[:2], Message("assistant", "No.")))
    other_prompt = row(messages=(MESSAGES[0], Message("user", "How?"), MESSAGES[2]))
    assert other_answer["prompt_id"] == row()["prompt_id"] != other_prompt["prompt_id"]


def test_scores_are_flat_and_reasons_are_codes():
    assert row()["judge_scores"] == [
        {"judge": "F", "dimension": "plausibility", "score": 1.0},
        {"judge": "F", "dimension": "grounding", "score": 0.5},
    ]
    assert row()["gate_reasons"] == ["citation"]
    assert row()["gate_flags"] == ["safety"]


def test_what_is_not_known_is_null_and_a_free_answer_costs_zero():
    unknown = row(cost_nano=None, teacher_params=None, source_license=None, gate_version=None)
    assert unknown["cost_usd"] is unknown["teacher_params"] is unknown["source_license"] is None
    assert row(cost_nano=0)["cost_usd"] == 0.0
    assert row()["cost_usd"] == 1.5e-6
    assert from_parquet([unknown]).schema == SFT_SCHEMA


def test_sets_and_parameters_come_in_an_order_of_their_own():
    assert row()["judge_models"] == ["openai:a", "openai:b"]
    assert row()["teacher_params"] == '{"max_tokens":1024,"temperature":0.2}'
    assert row()["source_sha256"] == hashlib.sha256(b"Soils dry.").hexdigest()


def test_another_text_is_another_version_of_the_prompt():
    pair = SHIPPED["pair"]
    changed = pair.model_copy(update={"system": "Be brief."})
    assert prompt_version(pair).startswith("pair@")
    assert prompt_version(pair) == prompt_version(pair) != prompt_version(changed)


def test_the_gates_version_follows_from_what_decides_and_not_from_names_or_prices():
    recipe = Recipe()
    renamed = Recipe(name="other", judges=[{"price": FREE}], export={"policy": "gate"})
    stricter = Recipe(gate={"min_mean": 0.9})
    assert gate_version(recipe) == gate_version(renamed) != gate_version(stricter)
