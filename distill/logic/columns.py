"""Which column of a file becomes which field of a sample, and how a cell becomes text.

A path names a cell: `abstract`; `paper.title` (a key inside); `authors.0` (a list's first);
`sections.text` (that key of every entry of a list); `=biology` (the text after the sign, for every
row). A column whose own name has dots is found by its whole name first.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Self

from distill.logic.errors import InputError
from distill.logic.label_lines import LABEL_MARKS
from distill.logic.templates import SHIPPED

SAMPLE_FIELDS = (
    "text",
    "labels",
    "instruction",
    "domain",
    "template_name",
    "title",
    "source_key",
)
ANSWER_FIELDS = (
    "answer",
    "teacher",
    "draw",
    "attempt",
    "finish_reason",
    "latency_ms",
    "prompt_tokens",
    "completion_tokens",
)
FIELDS = SAMPLE_FIELDS + ANSWER_FIELDS

IGNORED_COLUMNS = frozenset({"template_prompt", "system_prompt", "sample_id"})
"""Columns that the product writes and makes anew; they are not kept with a sample."""

_KNOWN_NAMES: AbstractMapping[str, tuple[str, ...]] = {
    "text": (
        "context",
        "contexts",
        "text",
        "passage",
        "abstract",
        "full_text",
        "source",
        "content",
        "body",
        "article",
        "document",
    ),
    "labels": ("labels", "section_names", "section_labels"),
    "instruction": ("user_prompt", "instruction", "prompt_text", "question", "prompt"),
    "domain": ("domain", "domain_tag", "discipline", "subject"),
    "template_name": ("template_name",),
    "title": ("title", "paper_title", "article_title"),
    "source_key": (
        "source_id",
        "source_key",
        "paper_id",
        "document_id",
        "doc_id",
        "pmid",
        "pubid",
        "arxiv_id",
        "doi",
        "corpus_id",
        "_key",
        "id",
        "path",
        "url",
    ),
    "answer": ("teacher_output",),
}
_KNOWN_ANSWER_NAMES: AbstractMapping[str, tuple[str, ...]] = {
    "teacher": ("teacher", "model_id", "generation_model"),
    "draw": ("draw",),
    "attempt": ("attempt",),
    "finish_reason": ("finish_reason",),
    "latency_ms": ("latency_ms",),
    "prompt_tokens": ("prompt_tokens",),
    "completion_tokens": ("completion_tokens",),
}
# A known data set is told by columns that no other one has together.
_KNOWN_SHAPES: tuple[tuple[frozenset[str], AbstractMapping[str, str]], ...] = (
    (
        frozenset({"CONTEXTS", "QUESTION", "LABELS"}),
        {
            "text": "CONTEXTS",
            "labels": "LABELS",
            "instruction": "QUESTION",
            "domain": "=biomedicine",
        },
    ),
    (
        frozenset({"source", "source_labels", "rouge_scores", "target"}),
        {"text": "source", "domain": "=computer science"},
    ),
    (
        LABEL_MARKS,
        {
            **{name: name for name in ("teacher", "draw", "attempt", "finish_reason")},
            "text": "context",
            "instruction": "instruction",
            "answer": "text",
        },
    ),
)
MAX_COLUMNS = 1_000
_SECTION_LABELS = ("label", "heading", "section", "title", "name")
_SECTION_TEXTS = ("text", "content", "body", "paragraphs")
# Longer entries of a list are paragraphs or sections, shorter ones are sentences.
_SENTENCE_LENGTH = 400
_LONG_TEXT = 100


@dataclass(frozen=True, slots=True)
class Mapping:
    """The path of each mapped field; fields without a path are left out."""

    paths: AbstractMapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.paths) - set(FIELDS))
        if unknown:
            known = ", ".join(FIELDS)
            raise InputError(f"There is no field {unknown[0]!r} to map to. Fields: {known}.")

    def get(self, name: str) -> str:
        return self.paths.get(name, "")

    def with_paths(self, changes: AbstractMapping[str, str]) -> Self:
        """The same with some paths changed; an empty path takes the field out."""
        merged = {**self.paths, **changes}
        return type(self)({name: merged[name] for name in FIELDS if merged.get(name)})

    @property
    def has_answers(self) -> bool:
        return "answer" in self.paths

    @property
    def has_passages(self) -> bool:
        """Whether the text is a passage, not itself what is asked (as in the guide's files)."""
        return self.get("text").lower() not in _KNOWN_NAMES["instruction"]

    @property
    def columns(self) -> frozenset[str]:
        """The paths and the columns that they begin in."""
        used = [path for path in self.paths.values() if not path.startswith("=")]
        return frozenset(used) | frozenset(path.split(".")[0] for path in used)


def guess_mapping(
    columns: Sequence[str], rows: Iterable[AbstractMapping[str, object]] = ()
) -> Mapping:
    """The mapping that the columns' names and the first rows suggest; it may lack `text`.

    Known are the guide's files, PubMedQA, SciTLDR, what this product writes, and common names. A
    text column of unknown name is the one with the longest texts.
    """
    rows = list(rows)
    for marks, paths in _KNOWN_SHAPES:
        if marks <= set(columns):
            there = {
                name: path for name, path in paths.items() if path[0] == "=" or path in columns
            }
            return _by_name(columns).with_paths(there)
    guess = _by_name(columns)
    if _holds_templates(rows, "task_type") and "template_name" not in guess.paths:
        guess = guess.with_paths({"template_name": "task_type"})
    if _is_short(rows, guess.get("text")) and guess.get("text") in {"source", "document"}:
        guess = guess.with_paths({"text": ""})
    if "text" not in guess.paths:
        guess = guess.with_paths({"text": guess.get("instruction") or _longest(columns, rows)})
    if guess.get("instruction") == guess.get("text"):
        guess = guess.with_paths({"instruction": ""})
    if not {"contexts", "sections"} & {guess.get("text").split(".")[0].lower()}:
        guess = guess.with_paths({"labels": ""})
    return guess


def check_mapping(mapping: Mapping, columns: Sequence[str], name: str) -> None:
    """Raise `InputError` where no text is mapped or a mapped column is not in the file."""
    shown = ", ".join(columns[:30]) or "none"
    if "text" not in mapping.paths:
        raise InputError(
            f"{name}: no column looks like text. Its columns are {shown}. "
            "Say which one holds the text (--text-column, or in the mapping)."
        )
    for field_name, path in mapping.paths.items():
        starts = {path, *(path[:end] for end in _dots(path))}
        if not path.startswith("=") and not starts & set(columns):
            raise InputError(
                f"{name}: there is no column {path!r} for {field_name}. Its columns are {shown}."
            )


def value_at(values: AbstractMapping[str, object], path: str) -> object:
    """The cell that a path names, or None."""
    if path.startswith("="):
        return path[1:]
    if path in values:
        return values[path]
    for end in _dots(path):
        if path[:end] in values:
            return _inside(values[path[:end]], path[end + 1 :])
    return None


def as_text(value: object, labels: object = None) -> str:
    """A cell as text; raises `ValueError` saying what it is where it is none.

    Sentences are joined by spaces, sections by newlines with their labels in front
    (`METHODS: …`): labels come from `labels`, from a section's own label, or from an object's keys.
    """
    try:
        return _as_text(value, labels)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def tidy(text: str) -> str:
    """Line ends as newlines, no outer white space: the same text from every kind of file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def column_paths(rows: Iterable[AbstractMapping[str, object]], *, depth: int = 3) -> list[str]:
    """The paths that the rows offer, in the order of their first appearance.

    Raises `InputError` where there are more columns than anybody could choose among; of paths
    inside columns only so many are offered.
    """
    found: dict[str, None] = {}
    columns: set[str] = set()
    for row in rows:
        columns.update(row)
        refuse_too_many(len(columns))
        _add_paths(row, "", depth, found)
    return list(found)


def refuse_too_many(num_columns: int) -> None:
    """Raise `InputError` for more columns than a mapping can be shown for."""
    if num_columns > MAX_COLUMNS:
        raise InputError(
            f"The file has {num_columns:,} columns or more, at most {MAX_COLUMNS:,} can be mapped. "
            "Keep those that you need, and import it again."
        )


def _by_name(columns: Sequence[str]) -> Mapping:
    by_lower = {column.lower(): column for column in reversed(columns)}
    known = dict(_KNOWN_NAMES)
    if by_lower.keys() & set(known["answer"]):
        known |= _KNOWN_ANSWER_NAMES
    paths = {
        name: next((by_lower[known_as] for known_as in names if known_as in by_lower), "")
        for name, names in known.items()
    }
    return Mapping().with_paths(paths)


def _holds_templates(rows: Sequence[AbstractMapping[str, object]], column: str) -> bool:
    values = {row.get(column) for row in rows if isinstance(row.get(column), str)}
    return bool(values) and values <= set(SHIPPED)


def _is_short(rows: Sequence[AbstractMapping[str, object]], column: str) -> bool:
    return bool(rows) and _mean_length(rows, column) < _LONG_TEXT


def _longest(columns: Sequence[str], rows: Sequence[AbstractMapping[str, object]]) -> str:
    lengths = {column: _mean_length(rows, column) for column in columns}
    best = max(lengths, key=lambda column: lengths[column], default="")
    return best if lengths.get(best, 0) >= _LONG_TEXT else ""


def _mean_length(rows: Sequence[AbstractMapping[str, object]], column: str) -> float:
    lengths = []
    for row in rows:
        try:
            lengths.append(len(as_text(row.get(column))))
        except ValueError:
            lengths.append(0)
    return statistics.fmean(lengths) if lengths else 0.0


def _dots(path: str) -> list[int]:
    """Where a path can be cut, the longest beginning first."""
    return [place for place in range(len(path) - 1, 0, -1) if path[place] == "."]


def _inside(value: object, path: str) -> object:
    if isinstance(value, dict):
        return value_at(value, path)
    if not isinstance(value, list | tuple):
        return None
    head, _, rest = path.partition(".")
    if head.isdecimal():
        entry = value[int(head)] if int(head) < len(value) else None
        return _inside(entry, rest) if rest else entry
    return [_inside(entry, path) for entry in value]


def _as_text(value: object, labels: object = None) -> str:
    if isinstance(value, str):
        return tidy(value)
    if isinstance(value, dict):
        return _join_sections([_section(value)] if _text_of(value) is not None else _pairs(value))
    if isinstance(value, list | tuple):
        return _join_list(value, labels)
    if value is None:
        raise ValueError("is empty")
    raise ValueError(f"is {_kind(value)}, not text")


def _join_list(entries: Sequence[object], labels: object) -> str:
    entries = [entry for entry in entries if entry is not None and entry != ""]
    if not entries:
        raise ValueError("is an empty list")
    if isinstance(labels, list | tuple) and len(labels) == len(entries):
        return _join_sections(list(zip(map(_label, labels), entries, strict=True)))
    if any(isinstance(entry, dict) for entry in entries):
        return _join_sections([_section(entry) for entry in entries])
    texts = [_as_text(entry) for entry in entries]
    are_sections = any(len(text) > _SENTENCE_LENGTH or "\n" in text for text in texts)
    return ("\n" if are_sections else " ").join(filter(None, texts))


def _join_sections(sections: Iterable[tuple[str, object]]) -> str:
    parts = []
    for label, content in sections:
        text = _as_text(content)
        if text:
            parts.append(f"{label}: {text}" if label else text)
    return "\n".join(parts)


def _section(entry: object) -> tuple[str, object]:
    if not isinstance(entry, dict):
        return "", entry
    label = next((entry[name] for name in _SECTION_LABELS if entry.get(name)), "")
    return _label(label), _text_of(entry)


def _text_of(entry: AbstractMapping[str, object]) -> object:
    return next((entry[name] for name in _SECTION_TEXTS if entry.get(name)), None)


def _pairs(sections: AbstractMapping[str, object]) -> list[tuple[str, object]]:
    return [(str(name), content) for name, content in sections.items() if content]


def _label(value: object) -> str:
    return tidy(value).rstrip(":") if isinstance(value, str) else ""


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return f"a number ({value})"
    return "binary data" if isinstance(value, bytes) else f"a {type(value).__name__}"


def _add_paths(value: object, prefix: str, depth: int, found: dict[str, None]) -> None:
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict) or not depth:
        return
    for key, inner in value.items():
        if prefix and len(found) >= MAX_COLUMNS:
            return
        found.setdefault(f"{prefix}{key}")
        _add_paths(inner, f"{prefix}{key}.", depth - 1, found)
