"""The shapes in which one JSON document holds rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distill.logic.errors import InputError

KEY_COLUMN = "_key"
"""Where the key goes of an object that stands under one, as in PubMedQA."""

# Shorter ones ask for something, longer ones are passages.
_INSTRUCTION_LENGTH = 200


def json_rows(document: object, name: str) -> Iterator[object]:
    """The rows of a list; of an object by keys; of an object around one list; of `{"texts": …}`."""
    if isinstance(document, list):
        return (_row(entry) for entry in document)
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise InputError(f"{name}: a list or an object of rows is needed, it holds one {kind}.")
    if isinstance(texts := document.get("texts"), list):
        return _texts(texts, {key: document[key] for key in document if key != "texts"}, name)
    inner = [value for value in document.values() if _is_rows(value)]
    if len(inner) == 1:
        return iter(inner[0])
    if document and all(isinstance(value, dict) for value in document.values()):
        return ({KEY_COLUMN: key, **value} for key, value in document.items())
    return iter([document])


def _texts(texts: list[object], shared: dict[str, object], name: str) -> Iterator[object]:
    """The guide's raw files: biology_enhanced.json holds one-line instructions of biology."""
    domain, found, _ = Path(name).stem.partition("_enhanced")
    if found:
        shared = {"domain": domain, **shared}
    lengths = [len(text) for text in texts if isinstance(text, str)]
    is_asking = bool(lengths) and sum(lengths) / len(lengths) < _INSTRUCTION_LENGTH
    column = "user_prompt" if is_asking else "text"
    for entry in texts:
        row = {column: entry} if isinstance(entry, str) else entry
        yield {**shared, **row} if isinstance(row, dict) else row


def _row(entry: object) -> object:
    return {"text": entry} if isinstance(entry, str) else entry


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
