"""Label files: one JSON object a line, what people decided of one completion.

Our own lines hold all that rebuilds the sample and its completion, so that no second file is
needed. Those of the old page hold six columns and name a row of a table by its number: they were
made with the judge in sight and without a name, and are marked legacy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, TypeVar

from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS, Reason, in_order

Form = Literal["lines", "legacy"]
Kind = Literal["accept", "edit", "reject"]

LABEL_MARKS = frozenset(
    {"sample_id", "completion_id", "context", "text", "decision", "reviewer", "decided_at"}
)
"""Columns that only a label line of ours has together."""

LABEL_COLUMNS = LABEL_MARKS | {
    *("dataset", "prompt", "model", "label", "basis", "reasons", "note", "judge_seen"),
    *("required_reviews", "is_legacy", "is_adjudication", "edited", "others"),
}
"""What is of the label, not of the sample."""

LEGACY_MARKS = frozenset({"index", "action", "teacher_output"})
LEGACY_REVIEWER = "reviewer-legacy"
MAX_NOTE_LENGTH = 20_000
MAX_OTHERS = 100
PSEUDONYM = re.compile(r"reviewer-(?:[0-9a-f]{8}|legacy)")

_KEY = re.compile(r"[0-9a-f]{32}")
_KINDS: Mapping[str, Kind] = {"accept": "accept", "edit": "edit", "reject": "reject"}
# The old page's "regenerate" is a rejection: somebody wants it written anew.
_ACTIONS: Mapping[str, Kind] = {
    "accept": "accept",
    "reject": "reject",
    "regenerate": "reject",
}
_YEARS = range(2000, 2200)
_MAX_REVIEWS = 100
_MAX_INDEX = 2**53

T = TypeVar("T")


class LabelLineError(InputError):
    """Why a line is no label: the field, and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class LabelledDecision:
    """What one person decided, under a pseudonym. `decided_at` is in UTC."""

    reviewer: str
    kind: Kind
    decided_at: datetime
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    judge_seen: bool = False
    required_reviews: int = 1
    is_legacy: bool = False
    is_adjudication: bool = False
    edited: Mapping[str, str] | None = None
    """The reviewer's own words, field by field, of an edit."""


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A line of ours: whose completion it is of, and the decisions on it."""

    sample_key: str
    completion_key: str
    decisions: tuple[LabelledDecision, ...]


@dataclass(frozen=True, slots=True)
class LegacyLabel:
    """An old line: the number of a row from 0, what that row held, and the decision."""

    index: int
    context: str
    answer: str
    decision: LabelledDecision


def form_of(columns: Iterable[str]) -> Form | None:
    """Which kind of label line has these columns, if any."""
    names = set(columns)
    if names >= LABEL_MARKS:
        return "lines"
    return "legacy" if names >= LEGACY_MARKS else None


def read_label_line(values: Mapping[str, Any]) -> LabelLine:
    """A line of ours. Raises LabelLineError."""
    others = _other_decisions(values.get("others"))
    return LabelLine(
        sample_key=_key(values, "sample_id"),
        completion_key=_key(values, "completion_id"),
        decisions=(_decision(values), *others),
    )


def read_legacy_label(values: Mapping[str, Any]) -> LegacyLabel:
    """An old six-column line. Raises LabelLineError."""
    kind = _choice(values, "action", _ACTIONS)
    return LegacyLabel(
        index=_number(values, "index", 0, _MAX_INDEX),
        context=_text(values, "context"),
        answer=_text(values, "teacher_output"),
        decision=LabelledDecision(
            reviewer=LEGACY_REVIEWER,
            kind=kind,
            decided_at=_time(values, "timestamp", otherwise=UTC),
            reasons=(Reason.OTHER,) if kind == "reject" else (),
            judge_seen=True,
            is_legacy=True,
        ),
    )


def write_decision(decision: LabelledDecision) -> dict[str, object]:
    """The cells of a decision; `read_label_line` reads them again."""
    return {
        "decision": decision.kind,
        "reasons": [reason.value for reason in decision.reasons],
        "note": decision.note,
        "reviewer": decision.reviewer,
        "judge_seen": decision.judge_seen,
        "required_reviews": decision.required_reviews,
        "is_legacy": decision.is_legacy,
        "is_adjudication": decision.is_adjudication,
        "edited": decision.edited,
        "decided_at": decision.decided_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _other_decisions(value: object) -> tuple[LabelledDecision, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise LabelLineError("others", "Its others is no list of decisions.")
    if len(value) > MAX_OTHERS:
        raise LabelLineError("others", f"It has {len(value):,} others, at most {MAX_OTHERS}.")
    return tuple(map(_decision, value))


def _decision(values: Mapping[str, Any]) -> LabelledDecision:
    kind = _choice(values, "decision", _KINDS)
    reasons = _reasons(values)
    if kind != "reject" and reasons:
        raise LabelLineError("reasons", "It accepts and gives reasons: only a rejection has any.")
    reviewer = _text(values, "reviewer")
    if not PSEUDONYM.fullmatch(reviewer):
        raise LabelLineError(
            "reviewer",
            f"Its reviewer {reviewer[:60]!r} is no pseudonym: reviewer- and 8 hexadecimal digits.",
        )
    note = _text(values, "note")
    if len(note) > MAX_NOTE_LENGTH:
        raise LabelLineError(
            "note", f"Its note has {len(note):,} characters, at most {MAX_NOTE_LENGTH:,}."
        )
    return LabelledDecision(
        reviewer=reviewer,
        kind=kind,
        decided_at=_time(values, "decided_at"),
        reasons=reasons or ((Reason.OTHER,) if kind == "reject" else ()),
        note=note,
        judge_seen=_truth(values, "judge_seen"),
        required_reviews=_number(values, "required_reviews", 1, _MAX_REVIEWS, otherwise=1),
        is_legacy=_truth(values, "is_legacy"),
        is_adjudication=_truth(values, "is_adjudication"),
        edited=_edited(values, kind),
    )


def _edited(values: Mapping[str, Any], kind: Kind) -> dict[str, str] | None:
    if values.get("edited") is None and kind != "edit":
        return None
    edited = _cell(values, "edited", dict, "an object")
    if kind != "edit":
        raise LabelLineError("edited", "It brings edited words: only an edit has any.")
    words = {name: _text(edited, name) for name in edited}
    if blank := [name for name in words if not words[name].strip()]:
        raise LabelLineError("edited", f"Its edit leaves {blank[0][:60]!r} empty.")
    return words


def _reasons(values: Mapping[str, Any]) -> tuple[Reason, ...]:
    given = values.get("reasons")
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(code, str) for code in given):
        raise LabelLineError("reasons", "Its reasons is no list of texts.")
    unknown = [code for code in given if code not in REVIEWER_REASONS]
    if unknown:
        known = ", ".join(REVIEWER_REASONS)
        raise LabelLineError(
            "reasons", f"{unknown[0][:60]!r} is no reason that a reviewer gives; known are {known}."
        )
    return tuple(in_order(given))


# --- cells ---


def _cell(values: Mapping[str, Any], field: str, wanted: type[T], words: str) -> T:
    value = values.get(field)
    if value is None:
        raise LabelLineError(field, f"Its {field} is missing.")
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise LabelLineError(field, f"Its {field} is a {type(value).__name__}, not {words}.")
    return value


def _text(values: Mapping[str, Any], field: str) -> str:
    """A text that a database takes; one that is missing is empty."""
    text = "" if values.get(field) is None else _cell(values, field, str, "a text")
    if "\0" in text:
        raise LabelLineError(field, f"Its {field} holds NUL characters. Remove them.")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise LabelLineError(field, f"Its {field} is not UTF-8. Save the file as UTF-8.")
    return text


def _key(values: Mapping[str, Any], field: str) -> str:
    key = _text(values, field)
    if not _KEY.fullmatch(key):
        raise LabelLineError(field, f"Its {field} {key[:60]!r} is not 32 hexadecimal digits.")
    return key


def _choice(values: Mapping[str, Any], field: str, known: Mapping[str, Kind]) -> Kind:
    word = _text(values, field).strip().lower()
    if word not in known:
        raise LabelLineError(
            field, f"Its {field} {word[:60]!r} is unknown; known are {', '.join(known)}."
        )
    return known[word]


def _truth(values: Mapping[str, Any], field: str) -> bool:
    return values.get(field) is not None and _cell(values, field, bool, "true or false")


def _number(
    values: Mapping[str, Any], field: str, least: int, most: int, *, otherwise: int | None = None
) -> int:
    if values.get(field) is None and otherwise is not None:
        return otherwise
    number = _cell(values, field, int, "a whole number")
    if not least <= number <= most:
        raise LabelLineError(field, f"Its {field} is {number}, allowed is {least} to {most}.")
    return number


def _time(values: Mapping[str, Any], field: str, *, otherwise: tzinfo | None = None) -> datetime:
    """A time in UTC; where it names no zone, in that of `otherwise`."""
    text = _text(values, field)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise LabelLineError(
            field, f"Its {field} {text[:60]!r} is no time, such as 2026-01-31T12:30:00Z."
        ) from None
    if time.tzinfo is None and otherwise is None:
        raise LabelLineError(field, f"Its {field} {text[:60]!r} names no time zone: add Z for UTC.")
    if time.year not in _YEARS:
        raise LabelLineError(field, f"Its {field} lies in the year {time.year}.")
    return (time if time.tzinfo else time.replace(tzinfo=otherwise)).astimezone(UTC)
