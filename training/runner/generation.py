"""Answers of a model, a batch of questions at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from training.logic.spec import AnswerSpec
from training.runner.render import end_of_turn, render_text, to_ids
from training.runner.student import Student


def choose_device(spec: AnswerSpec) -> tuple[torch.device, torch.dtype]:
    """Where the models run, and in which precision: bf16 where the accelerator has it."""
    torch.set_num_threads(spec.threads)
    if spec.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu"), torch.float32
    exact = torch.float32
    return torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported() else exact


def answer_batch(
    student: Student, questions: Sequence[Mapping[str, Any]], spec: AnswerSpec
) -> list[dict[str, Any]]:
    """One answer for each question, in its order; `latency_ms` is the time of the whole batch.

    A question of more than `max_length` tokens is not asked: its answer is empty, and its
    `finish_reason` is length.
    """
    asked = [_question_ids(student, question) for question in questions]
    fitting = [ids for ids in asked if len(ids) <= spec.max_length]
    began = time.monotonic()
    replies = iter(_generate(student, fitting, spec) if fitting else [])
    latency_ms = round((time.monotonic() - began) * 1000)
    answers = []
    for question, ids in zip(questions, asked, strict=True):
        reply = next(replies) if len(ids) <= spec.max_length else []
        answers.append(_answer(student, question["sample_id"], ids, reply, latency_ms))
    return answers


def _question_ids(student: Student, question: Mapping[str, Any]) -> list[int]:
    text = render_text(question["messages"], student.tokenizer, is_question=True)
    return to_ids(text, student.tokenizer)


@torch.inference_mode()
def _generate(student: Student, asked: list[list[int]], spec: AnswerSpec) -> list[list[int]]:
    """New tokens for each question, padded on the left so that all answers begin together."""
    pad = student.tokenizer.pad_token_id
    width = max(len(ids) for ids in asked)
    rows = [[pad] * (width - len(ids)) + ids for ids in asked]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in asked]
    model: Any = student.model
    device = model.device
    output = model.generate(
        input_ids=torch.tensor(rows, device=device),
        attention_mask=torch.tensor(mask, device=device),
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=spec.max_new_tokens,
            eos_token_id=_stops(student),
            pad_token_id=pad,
            use_cache=True,
        ),
    )
    return [list(row) for row in output[:, width:].tolist()]


def _stops(student: Student) -> list[int]:
    eos = student.tokenizer.eos_token_id
    return sorted({end_of_turn(student.tokenizer), eos} - {None})


def _answer(
    student: Student, sample_id: str, ids: list[int], reply: list[int], latency_ms: int
) -> dict[str, Any]:
    stops = set(_stops(student))
    end = next((index for index, token in enumerate(reply) if token in stops), None)
    return {
        "sample_id": sample_id,
        "text": student.tokenizer.decode(reply[:end], skip_special_tokens=True),
        "finish_reason": "length" if end is None else "stop",
        "prompt_tokens": len(ids),
        "completion_tokens": len(reply) if end is None else end + 1,
        "latency_ms": latency_ms,
    }
