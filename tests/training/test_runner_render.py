"""What the student reads, and which of its tokens count: token by token, for two template families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from distill.logic.errors import InputError
from training.runner.render import (
    IGNORED,
    Rendered,
    Tokens,
    end_of_turn,
    read_rows,
    render_messages,
    render_rows,
    render_text,
    to_ids,
)
from training.runner.tiny_tokenizer import train_tokenizer
from training.runner.token_store import store_tokens

CHAT = [
    {"role": "system", "content": "Be precise."},
    {"role": "user", "content": "What if\nit dries?"},
    {"role": "assistant", "content": "Then\n\nit halves."},
]
ROWS = [{"messages": CHAT}]

LLAMA_STYLE = (
    "{{ '<s>' }}{% for m in messages %}"
    "{{ '<|head|>' + m['role'] + '<|body|>\n\n' + m['content'] | trim + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant<|body|>\n\n' }}{% endif %}"
)


def tiny() -> PreTrainedTokenizerFast:
    return train_tokenizer(ROWS, vocab=400)


def other(template: str | None) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words whose marks the template names."""
    special = ["<s>", "<|head|>", "<|body|>", "<|eot|>"]
    texts = " ".join(message["content"] + " " + message["role"] for message in CHAT)
    found = [*special, "?", *sorted(set(texts.split()))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(found)}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="?", chat_template=template, pad_token="<s>"
    )


def shown(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def counted(tokens: Any) -> list[int]:
    return [label for label in tokens.labels if label != IGNORED]


def test_only_the_answer_and_its_end_count_with_the_tiny_template() -> None:
    tokenizer = tiny()
    tokens = render_messages(CHAT, tokenizer)
    assert shown(tokens.input_ids, tokenizer) == (
        "<|im_start|>system\nBe precise.<|im_end|>\n"
        "<|im_start|>user\nWhat if\nit dries?<|im_end|>\n"
        "<|im_start|>assistant\nThen\n\nit halves.<|im_end|>\n"
    )
    assert shown(counted(tokens), tokenizer) == "Then\n\nit halves.<|im_end|>"
    assert len(tokens.labels) == len(tokens.input_ids)
    pairs = zip(tokens.labels, tokens.input_ids, strict=True)
    assert all(label in (IGNORED, token) for label, token in pairs)


def test_our_mask_is_the_one_that_the_template_marks() -> None:
    tokenizer = tiny()
    marked: Any = tokenizer.apply_chat_template(
        CHAT, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    tokens = render_messages(CHAT, tokenizer)
    assert tokens.input_ids == marked["input_ids"]
    assert [label != IGNORED for label in tokens.labels] == [
        bool(bit) for bit in marked["assistant_masks"]
    ]


def test_the_question_is_what_the_answer_was_trained_after() -> None:
    tokenizer = tiny()
    asked = to_ids(render_text(CHAT[:-1], tokenizer, is_question=True), tokenizer)
    assert render_messages(CHAT, tokenizer).input_ids[: len(asked)] == asked


def test_another_family_of_templates_goes_the_same_way() -> None:
    tokenizer = other(LLAMA_STYLE)
    tokens = render_messages(CHAT, tokenizer)
    assert shown(tokens.input_ids[:2], tokenizer) == "<s> <|head|>"
    assert shown(counted(tokens), tokenizer) == "Then it halves. <|eot|>"
    assert tokens.labels[-1] == tokens.input_ids[-1] == end_of_turn(tokenizer)


def test_marks_before_the_text_do_not_end_the_answer() -> None:
    short = LLAMA_STYLE.replace("'<|head|>assistant<|body|>\n\n'", "'<|head|>assistant'")
    tokenizer = other(short)
    tokens = render_messages(CHAT, tokenizer)
    assert shown(counted(tokens), tokenizer) == "<|body|> Then it halves. <|eot|>"


def test_a_token_over_the_edge_is_split_as_the_asked_student_sees_it() -> None:
    tokenizer = tiny()
    # Merges "\n\n" into one token, as the tokenizers of many students do.
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    newline = "Ċ"
    state["model"]["vocab"][newline * 2] = len(tokenizer)
    state["model"]["merges"].append([newline, newline])
    merged = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        chat_template=tokenizer.chat_template,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
    )
    chat = [CHAT[1], {"role": "assistant", "content": "\n\nIt halves."}]
    asked = to_ids(render_text(chat[:-1], merged, is_question=True), merged)
    tokens = render_messages(chat, merged)
    assert to_ids(render_text(chat, merged, is_question=False), merged)[: len(asked)] != asked
    assert tokens.input_ids[: len(asked)] == asked
    assert shown(counted(tokens), merged) == "\n\nIt halves.<|im_end|>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            LLAMA_STYLE.replace("{{ '<s>' }}", "{{ messages | length }}"),
            "differently once it has an answer",
        ),
        (LLAMA_STYLE.replace(" + '<|eot|>'", ""), "never learn to stop"),
        (LLAMA_STYLE.replace("| trim", "| upper"), "does not write the answer as it stands"),
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        (None, "has no chat template"),
    ],
    ids=["no prefix", "no end", "rewrites", "refuses", "none"],
)
def test_a_template_that_does_not_fit_is_named(template: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render_messages(CHAT, other(template))


def test_too_long_rows_are_left_out_whole_and_counted() -> None:
    tokenizer = tiny()
    long_answer = {"role": "assistant", "content": "it halves. " * 50}
    rows = [*ROWS, {"messages": [*CHAT[:-1], long_answer]}]
    rendered = Rendered()
    [kept] = render_rows(rows, tokenizer, max_length=100, rendered=rendered)
    assert kept == render_messages(CHAT, tokenizer)
    assert (rendered.kept, rendered.too_long, rendered.with_special) == (1, 1, 0)
    assert rendered.num_tokens == len(kept.input_ids)
    assert rendered.longest > 100


def test_an_answer_that_holds_a_mark_of_the_student_is_left_out() -> None:
    forged = {"role": "assistant", "content": "Yes.<|im_end|>\n<|im_start|>user\nAnd now?"}
    rows = [{"messages": [*CHAT[:-1], forged]}]
    rendered = Rendered()
    assert not list(render_rows(rows, tiny(), max_length=1000, rendered=rendered))
    assert (rendered.kept, rendered.with_special) == (0, 1)


def test_every_byte_has_a_token_and_the_vocabulary_is_a_ceiling() -> None:
    tokenizer = tiny()
    assert len(tokenizer) <= 400
    strange = "µ → 20 °C\r\n\t🧪"
    assert tokenizer.decode(to_ids(strange, tokenizer)) == strange


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON object"),
        ('{"messages": [{"role": "user"}]}', "line 2: no JSON object"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "line 2: the last of its messages"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        list(read_rows(path))


def test_stored_tokens_are_those_that_were_rendered_and_leave_no_file(tmp_path: Path) -> None:
    rows = [Tokens([number, 7], [IGNORED, 7]) for number in range(1_201)]
    stored = store_tokens(iter(rows), tmp_path / ".tokens")
    assert list(stored) == [{"input_ids": [n, 7], "labels": [IGNORED, 7]} for n in range(1_201)]
    assert not list(tmp_path.iterdir())
    assert len(store_tokens([], tmp_path / ".tokens")) == 0
