from __future__ import annotations

import re

import orjson
import pytest

from distill.logic.errors import InputError
from training.logic.rows import RowCheck

MESSAGES = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


def row(**fields: object) -> bytes:
    return orjson.dumps({"messages": MESSAGES, "source_id": "a", "split": "train", **fields})


def check(*lines: bytes) -> RowCheck:
    found = RowCheck()
    for number, line in enumerate(lines, start=1):
        found.take(line, where=f"x.jsonl, line {number}")
    found.finish(name="x.jsonl")
    return found


def test_rows_are_counted_by_split() -> None:
    found = check(row(), row(), row(source_id="b", split="test"))
    assert found.counts == {"train": 2, "test": 1}


def test_a_row_without_a_split_is_for_training() -> None:
    assert check(row(split=None)).counts == {"train": 1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "line 1: not JSON"),
        (b"[]", "line 1: not a training row; it needs `messages`"),
        (row(messages="hello"), "needs `messages`"),
        (row(messages=[{"role": "robot", "content": "x"}]), "needs `messages`"),
        (row(messages=[{"role": "user", "content": 3}]), "needs `messages`"),
        (row(messages=[]), "the last of its messages must be the assistant's answer"),
        (row(messages=MESSAGES[:1]), "must be the assistant's answer"),
        (row(messages=[*MESSAGES, MESSAGES[0]]), "must be the assistant's answer"),
        (row(split="dev"), "unknown split 'dev'; known are train, validation, test"),
    ],
)
def test_a_line_that_is_no_training_row_is_named(line, words) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        check(line)


def test_nothing_at_all_and_nothing_to_train_on_are_told_apart() -> None:
    with pytest.raises(InputError, match=r"x\.jsonl is empty"):
        check()
    with pytest.raises(InputError, match=r"no row of split train \(1 test, 1 validation\)"):
        check(row(split="test"), row(split="validation", source_id="b"))


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_a_source_on_both_sides_is_refused(held_out) -> None:
    with pytest.raises(InputError, match=rf"“a” \(train and {held_out}\) stand in two splits"):
        check(row(), row(source_id="b"), row(split=held_out))
    with pytest.raises(InputError, match="would train on what it is tested on"):
        check(row(split=held_out), row())


def test_validation_and_test_may_share_a_source() -> None:
    check(row(), row(source_id="b", split="validation"), row(source_id="b", split="test"))


def test_without_sources_the_same_question_is_told_by_its_prompt() -> None:
    with pytest.raises(InputError, match="“same”"):
        check(*(row(source_id="", prompt_id="same", split=split) for split in ("train", "test")))


def test_many_clashes_are_counted() -> None:
    lines = [row(source_id=f"s{n}", split=split) for n in range(9) for split in ("train", "test")]
    with pytest.raises(InputError, match="and 6 more stand in two splits"):
        check(*lines)
