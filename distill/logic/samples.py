"""One row of a file as one sample, and its answer where it holds one; or why it cannot be.

A sample's key is a hash of its content alone, so it is the same on every machine and in every
dataset, and the same content is never stored twice in one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass

import orjson

from distill.logic.columns import IGNORED_COLUMNS, Mapping, as_text, value_at
from distill.logic.completion_key import completion_key
from distill.logic.label_lines import LABEL_COLUMNS, LabelLineError, form_of, read_label_line
from distill.logic.templates import SHIPPED, parse_reply

MAX_TEXT_BYTES = 1_000_000
"""The longest text of a sample or an answer, and the most that its other columns may hold."""

_MAX_LENGTHS = {"domain": 100, "template_name": 100, "teacher": 200, "finish_reason": 40}
_MAX_NUMBERS = {"draw": 32_767, "attempt": 32_767}
_MAX_NUMBER = 2_147_483_647
_DEFAULT_TEMPLATE = "pair"
# An even number of backslashes before it: not the text "\\u0000" itself.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
IMPORTED_TEACHER = "imported"
"""The teacher of an answer whose file does not name one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row is not imported: the field, what is wrong, and how its content begins."""

    field: str
    message: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """What a model said of the sample, brought along by the file."""

    text: str
    teacher: str
    template_name: str
    fields: dict[str, str]
    draw: int
    attempt: int
    finish_reason: str
    latency_ms: int | None
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class SampleDraft:
    """A row as it becomes a sample. `metadata` is what no field took, as JSON.

    `source_key` is the document that the file names; where it names none, a hash of the text.
    """

    key: str
    text: str
    instruction: str
    domain: str
    template_name: str
    title: str
    source_key: str
    metadata: str
    has_passage: bool = True
    answer: ImportedAnswer | None = None


class _RefusedError(Exception):
    def __init__(self, field: str, message: str, excerpt: str = "") -> None:
        super().__init__(message)
        self.refusal = Refusal(field, message, excerpt)


def sample_key(
    *, text: str, instruction: str = "", domain: str = "", template_name: str = "", title: str = ""
) -> str:
    """32 hexadecimal digits that stand for the content."""
    content = orjson.dumps([text, instruction, domain, template_name, title])
    return hashlib.sha256(content).hexdigest()[:32]


def text_key(text: str) -> str:
    """The source key of a text whose document is not named."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def draft_sample(values: AbstractMapping[str, object], mapping: Mapping) -> SampleDraft | Refusal:
    """The sample that a row makes, or why it makes none.

    Where a row has an instruction but no passage, the instruction is the text: the guide's files
    are such. An instruction that only repeats the text is left out. Of a label line, ids and
    content must belong together.
    """
    try:
        return _draft(values, mapping)
    except _RefusedError as refused:
        return refused.refusal


def _draft(values: AbstractMapping[str, object], mapping: Mapping) -> SampleDraft:
    instruction = _optional(values, mapping, "instruction")
    text = _text(values, mapping, instruction)
    content = {
        "text": text,
        "instruction": "" if instruction == text else instruction,
        "domain": _optional(values, mapping, "domain"),
        "template_name": _optional(values, mapping, "template_name"),
        "title": " ".join(_optional(values, mapping, "title").split()),
    }
    draft = SampleDraft(
        key=sample_key(**content),
        **content,
        source_key=_source_key(values, mapping, text),
        metadata=_metadata(values, mapping),
        has_passage=mapping.has_passages and text != instruction,
        answer=_answer(values, mapping, content["template_name"]),
    )
    if _is_label_line(values, mapping):
        _check_label_line(values, draft)
    return draft


def _is_label_line(values: AbstractMapping[str, object], mapping: Mapping) -> bool:
    return form_of(values) == "lines" and mapping.get("answer") == "text"


def _check_label_line(values: AbstractMapping[str, object], draft: SampleDraft) -> None:
    try:
        line = read_label_line(values)
    except LabelLineError as error:
        raise _RefusedError(error.field, str(error)) from None
    if line.sample_key != draft.key:
        raise _RefusedError("sample_id", "Its sample_id is of other content: was it changed?")
    answer = draft.answer
    if answer is None:
        raise _RefusedError("text", "Its text is blank.")
    key = completion_key(
        sample_key=draft.key,
        draw=answer.draw,
        attempt=answer.attempt,
        teacher=answer.teacher,
        text=answer.text,
    )
    if line.completion_key != key:
        raise _RefusedError(
            "completion_id", "Its completion_id is of another text: was it changed?"
        )


def _text(values: AbstractMapping[str, object], mapping: Mapping, instruction: str) -> str:
    value = value_at(values, mapping.get("text"))
    if instruction and (value is None or value in ("", [])):
        return instruction
    try:
        text = as_text(value, value_at(values, mapping.get("labels")))
    except ValueError as error:
        raise _RefusedError("text", f"The text {error}.", _excerpt(value)) from None
    if not text:
        raise _RefusedError("text", "The text is blank.")
    return _checked("text", text)


def _optional(values: AbstractMapping[str, object], mapping: Mapping, field: str) -> str:
    value = value_at(values, mapping.get(field)) if field in mapping.paths else None
    if value is None or value == []:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:.15g}" if isinstance(value, float) else str(value)
    try:
        text = as_text(value)
    except ValueError as error:
        raise _RefusedError(field, f"Its {field} {error}.", _excerpt(value)) from None
    limit = _MAX_LENGTHS.get(field)
    if limit and len(text) > limit:
        message = f"Its {field} has {len(text):,} characters, at most {limit} are kept."
        raise _RefusedError(field, message, _excerpt(text))
    return _checked(field, text)


def _checked(field: str, text: str) -> str:
    if "\0" in text:
        raise _RefusedError(
            field,
            f"Its {field} holds NUL characters, which a database cannot keep. Remove them.",
            _excerpt(text),
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _RefusedError(
            field, f"Its {field} is not UTF-8. Save the file as UTF-8.", _excerpt(text)
        ) from None
    if size > MAX_TEXT_BYTES:
        raise _RefusedError(
            field,
            f"Its {field} has {size / 1e6:,.1f} MB, at most 1 MB is taken. Cut it into passages.",
            _excerpt(text),
        )
    return text


def _source_key(values: AbstractMapping[str, object], mapping: Mapping, text: str) -> str:
    given = _optional(values, mapping, "source_key")
    return given if given and len(given) <= 200 else text_key(given or text)


def _metadata(values: AbstractMapping[str, object], mapping: Mapping) -> str:
    left_out = mapping.columns | IGNORED_COLUMNS
    if "sample_id" in values:
        # A file of ours: the split follows from the source, here as there.
        left_out |= {"split"}
    if _is_label_line(values, mapping):
        left_out |= LABEL_COLUMNS
    kept = {name: value for name, value in values.items() if name not in left_out}
    try:
        dumped = orjson.dumps(kept, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError) as error:
        raise _RefusedError("metadata", f"Its other columns cannot be kept: {error}.") from None
    if len(dumped) > MAX_TEXT_BYTES:
        size = f"{len(dumped) / 1e6:,.1f} MB"
        raise _RefusedError("metadata", f"Its other columns hold {size}, at most 1 MB is kept.")
    if _ESCAPED_NUL.search(dumped):
        raise _RefusedError("metadata", "Another column holds NUL characters. Remove them.")
    return dumped.decode()


def _answer(
    values: AbstractMapping[str, object], mapping: Mapping, template_name: str
) -> ImportedAnswer | None:
    text = _optional(values, mapping, "answer") if mapping.has_answers else ""
    if not text:
        return None
    if _is_label_line(values, mapping):
        # As it was, outer white space too: its id is made from it.
        text = _checked("answer", str(values["text"]))
    finish_reason = _optional(values, mapping, "finish_reason")
    template = SHIPPED.get(template_name or _DEFAULT_TEMPLATE)
    parsed = parse_reply(template, text, finish_reason=finish_reason) if template else None
    return ImportedAnswer(
        text=text,
        teacher=_optional(values, mapping, "teacher") or IMPORTED_TEACHER,
        template_name=template_name or _DEFAULT_TEMPLATE,
        fields=parsed.fields if parsed else {},
        draw=_number(values, mapping, "draw") or 0,
        attempt=_number(values, mapping, "attempt") or 1,
        finish_reason=finish_reason,
        latency_ms=_number(values, mapping, "latency_ms"),
        prompt_tokens=_number(values, mapping, "prompt_tokens"),
        completion_tokens=_number(values, mapping, "completion_tokens"),
    )


def _number(values: AbstractMapping[str, object], mapping: Mapping, field: str) -> int | None:
    text = _optional(values, mapping, field)
    if not text or text == "nan":
        return None
    limit = _MAX_NUMBERS.get(field, _MAX_NUMBER)
    try:
        number = round(float(text))
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number <= limit:
        raise _RefusedError(
            field, f"Its {field} is no whole number from 0 to {limit:,}.", text[:200]
        )
    return number


def _excerpt(value: object) -> str:
    try:
        text = value[:200] if isinstance(value, str) else repr(value)
    except RecursionError:
        text = "…"
    return text[:200].replace("\0", "␀").encode("utf-8", "replace").decode()
