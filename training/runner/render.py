"""From messages to tokens: what the student reads, and which of it counts in the loss.

The student's own chat template writes the conversation twice: up to where its answer begins, and
whole. What the second adds counts, up to the first special token after the answer's text, that one
included: it is what ends a turn. One way for all templates; nothing is cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from distill.logic.errors import InputError

IGNORED = -100
"""The label of a token that does not count in the loss."""

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as the student reads it; `labels` are its ids, or IGNORED."""

    input_ids: list[int]
    labels: list[int]

    @property
    def num_counted(self) -> int:
        """How many tokens count in the loss: a row's first token is never predicted."""
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(slots=True)
class Rendered:
    """What became of the rows of a split: counted while they are rendered."""

    kept: int = 0
    too_long: int = 0
    with_special: int = 0
    longest: int = 0
    num_tokens: int = 0
    """Of the rows that are kept."""

    @property
    def dropped(self) -> int:
        return self.too_long + self.with_special


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, one after the other, that end with an assistant's message.

    Raises InputError with the line's number for one that is no such conversation.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _read_row(line, f"{path.name}, line {number}")


def _read_row(line: str, where: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
        messages = [(message["role"], message["content"]) for message in row["messages"]]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{where}: no JSON object with messages of role and content.") from error
    if len(messages) < 2 or messages[-1][0] != "assistant" or not messages[-1][1].strip():
        raise InputError(f"{where}: the last of its messages must be the assistant's answer.")
    return row


def render_rows(
    rows: Iterable[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    rendered: Rendered,
) -> Iterator[Tokens]:
    """Tokens of all rows that fit into `max_length` tokens, one after the other.

    Left out, and counted in `rendered`, are those that are longer, and those whose answer holds one
    of the student's special tokens: it would end its turn there.
    """
    special = list(_special(tokenizer).values())
    for row in rows:
        messages = row["messages"]
        if any(token in messages[-1]["content"] for token in special):
            rendered.with_special += 1
            continue
        tokens = render_messages(messages, tokenizer)
        length = len(tokens.input_ids)
        rendered.longest = max(rendered.longest, length)
        if length > max_length:
            rendered.too_long += 1
        else:
            rendered.kept += 1
            rendered.num_tokens += length
            yield tokens


def render_messages(messages: Messages, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """Tokens of one conversation that ends with the assistant's answer, which alone counts.

    Raises InputError where the template does not fit: it has none, refuses a role, writes the
    beginning differently once there is an answer, or ends no turn.
    """
    prompt = render_text(messages[:-1], tokenizer, is_question=True)
    whole = render_text(messages, tokenizer, is_question=False)
    if not whole.startswith(prompt):
        raise InputError(
            "The student's chat template writes a conversation differently once it has an answer, "
            "so where the answer begins cannot be found. Choose a student with another template."
        )
    prompt_ids = to_ids(prompt, tokenizer)
    ids = to_ids(whole, tokenizer)
    if ids[: len(prompt_ids)] != prompt_ids:
        # A token spans the edge, as "\n\n" does. Asked, the student sees the edge: so train it.
        ids = prompt_ids + to_ids(whole[len(prompt) :], tokenizer)
    end = _find_end(ids, len(prompt_ids), _before_end(messages, whole[len(prompt) :]), tokenizer)
    labels = [IGNORED] * len(prompt_ids) + ids[len(prompt_ids) : end]
    return Tokens(ids, labels + [IGNORED] * (len(ids) - end))


def render_text(
    messages: Messages, tokenizer: PreTrainedTokenizerBase, *, is_question: bool
) -> str:
    """The conversation as the template writes it; a question ends where the answer begins."""
    if not tokenizer.chat_template:
        raise InputError(
            "The student's tokenizer has no chat template: choose one that was tuned for chat."
        )
    try:
        # Templates that know no thinking ignore the word; the others leave it out of answers.
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=is_question,
            enable_thinking=False,
        )
    except TemplateError as error:
        raise InputError(
            f"The student's chat template refuses this conversation: {error}. Where it takes no "
            "system message, export without it."
        ) from error
    return str(text)


def to_ids(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of a rendered text, which has its special tokens already."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@lru_cache(maxsize=4)
def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id of the token that ends an answer: of a base model often not its `eos_token`."""
    question = {"role": "user", "content": "Is it so?"}
    tokens = render_messages([question, {"role": "assistant", "content": "Yes."}], tokenizer)
    return next(label for label in reversed(tokens.labels) if label != IGNORED)


def _before_end(messages: Messages, added: str) -> str:
    """What the template adds for the answer, up to the end of its text."""
    text = messages[-1]["content"].strip()  # many templates trim
    begin = added.find(text)
    if begin < 0:
        raise InputError(
            "The student's chat template does not write the answer as it stands. Choose a student "
            "with another template."
        )
    return added[: begin + len(text)]


def _find_end(
    ids: list[int], start: int, before_end: str, tokenizer: PreTrainedTokenizerBase
) -> int:
    """Where the answer ends: behind the first special token that follows `before_end`."""
    special = _special(tokenizer)
    # Some templates mark a channel or a receiver before the text.
    passed = sum(token in special for token in to_ids(before_end, tokenizer))
    places = [index for index in range(start, len(ids)) if ids[index] in special]
    if len(places) <= passed:
        raise InputError(
            "The student's chat template ends an answer with no special token, so the student "
            "would never learn to stop. Choose a student with another template."
        )
    return places[passed] + 1


def _special(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    # Not `all_special_ids`: base models often leave out the tokens of their own template. What
    # stands for unknown text is special to tokenizers, and yet a part of any text.
    added = tokenizer.added_tokens_decoder.items()
    unknown = tokenizer.unk_token_id
    return {number: str(token) for number, token in added if token.special and number != unknown}
