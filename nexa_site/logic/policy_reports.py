"""Browsers' reports of what the content security policy stopped, cut down to what may be kept.

Anybody can send one. Whatever is stored of a report comes from a short list or is cut short, so that
the number of different rows stays small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import orjson

from distill.logic.errors import InputError
from distill.logic.storable import storable

MAX_BYTES = 16_000
"""Of one report; what browsers send takes up to two thousand."""
MAX_IN_A_BATCH = 20

ONE = "application/csp-report"
BATCH = "application/reports+json"

DIRECTIVES = frozenset(
    [
        "base-uri",
        "child-src",
        "connect-src",
        "default-src",
        "font-src",
        "form-action",
        "frame-ancestors",
        "frame-src",
        "img-src",
        "manifest-src",
        "media-src",
        "object-src",
        "prefetch-src",
        "script-src",
        "script-src-attr",
        "script-src-elem",
        "style-src",
        "style-src-attr",
        "style-src-elem",
        "worker-src",
    ]
)
OTHER = "other"
# What a browser says instead of an address.
_WORDS = frozenset(["inline", "eval", "wasm-eval", "self", "data", "blob", "about", "filesystem"])
_NETWORK = frozenset(("http", "https", "ws", "wss"))


@dataclass(frozen=True)
class Violation:
    """What was stopped: by which directive, from where, on which page, by which file of it."""

    directive: str
    blocked: str
    """A host, `inline` and the like, or the scheme of any other address, as `chrome-extension:`."""
    path: str
    """Of the page, without its query."""
    source: str
    """File and line that asked for it, or nothing."""


def read_reports(body: bytes, *, content_type: str) -> list[Violation]:
    """Read what a browser sends: one report, or a batch with reports of other kinds in it.

    Of a batch the first `MAX_IN_A_BATCH` count. Raises `InputError` for what is no report.
    """
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"The report is no JSON: {storable(str(error), limit=100)}") from None
    return list(_one(document) if content_type == ONE else _batch(document))


def _one(document: object) -> Iterator[Violation]:
    report = document.get("csp-report") if isinstance(document, dict) else None
    if not isinstance(report, dict):
        raise InputError("The report needs an object 'csp-report'.")
    yield _violation(
        report,
        directive=_text(report, "effective-directive") or _text(report, "violated-directive"),
        blocked="blocked-uri",
        page="document-uri",
        source=("source-file", "line-number"),
    )


def _batch(document: object) -> Iterator[Violation]:
    if not isinstance(document, list):
        raise InputError("Reports come in a list.")
    for report in document[:MAX_IN_A_BATCH]:
        if not isinstance(report, dict):
            raise InputError("Each report is an object.")
        if report.get("type") != "csp-violation":
            continue
        body = report.get("body")
        if not isinstance(body, dict):
            raise InputError("A report of a violation needs an object 'body'.")
        yield _violation(
            body,
            directive=_text(body, "effectiveDirective"),
            blocked="blockedURL",
            page="documentURL",
            source=("sourceFile", "lineNumber"),
        )


def _violation(
    report: dict[str, Any], *, directive: str, blocked: str, page: str, source: tuple[str, str]
) -> Violation:
    # An old browser adds what the directive allows.
    name = directive.partition(" ")[0]
    address = _split(_text(report, page))
    file, line = _split(_text(report, source[0])), report.get(source[1])
    path = file.path if file else ""
    return Violation(
        directive=name if name in DIRECTIVES else OTHER,
        blocked=_blocked(_text(report, blocked)),
        path=storable(address.path, limit=200) if address else "",
        source=storable(path, limit=180) + (f":{line % 10**9}" if isinstance(line, int) else ""),
    )


def _text(report: dict[str, Any], name: str) -> str:
    value = report.get(name)
    return value if isinstance(value, str) else ""


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _blocked(address: str) -> str:
    if address in _WORDS:
        return address
    parts = _split(address)
    if parts is None or not parts.scheme:
        return OTHER
    if parts.scheme in _NETWORK:
        return storable(parts.hostname or OTHER, limit=100)
    return storable(f"{parts.scheme}:", limit=100)
