"""The report card as Markdown: for a file beside the student, and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.logic.report import points

COUNTS = (
    ("Samples", "held-out samples that count: asked, and decided by the gate"),
    ("Passed the gate", "answers to them that passed rules, judges and gate; Wilson's interval"),
    ("Held-out loss", "nats a token over the answers of the held-out rows; lower is better"),
    ("Perplexity", "exp(loss)"),
    ("Judge's score", "mean over the answers that a judge scored, which is not all of them"),
    ("Length", "characters of an answer as it arrived, cut off or not"),
    ("Cut off", "answers that reached the limit of new tokens"),
)
"""What each number of the card counts."""

ASSUMPTIONS = (
    "All contenders answer the question of a first attempt; the same rules, judges and gate score "
    "them.",
    "The teacher's answers are its stored first attempts: nothing is asked again, and nothing is "
    "known of its loss.",
    "Intervals are 95 %: Wilson's for rates, a percentile bootstrap with a fixed seed for means and "
    "paired differences. They tell of the choice of samples alone, not of another training or "
    "another judge.",
    "Pass rates are not corrected for the judge's own errors.",
)

_NONE = "–"


STAND_IN = (
    "The offline stand-in answered as the teacher or judged here. Its verdicts exercise the loop; "
    "they say little about a student's science."
)


def report_markdown(report: Mapping[str, Any], *, title: str) -> str:
    """The card. Its `facts` (model, dataset, recipe, …) are names from outside: they stand as code."""
    parts = [
        f"# {_plain(title)}",
        f"**{report['title']}.** {report['detail']}".strip(),
        f"> {STAND_IN}" if report["is_standin"] else "",
        "\n".join(f"- {name}: {_code(value)}" for name, value in report["facts"] if value),
        _standings(report["standings"]),
        _differences(report["differences"]),
        _stages(report["standings"]),
        _reasons(report["standings"]),
        _list("Notes", report["notes"]),
        _list("What each number counts", [f"{name}: {words}" for name, words in COUNTS]),
        _list("Assumptions", ASSUMPTIONS),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def share(estimate: Mapping[str, Any]) -> str:
    """A rate with its interval: 7 of 20 = 35.0 % (18.1–56.7 %)"""
    if estimate["value"] is None:
        return f"{_NONE} ({estimate['why']})"
    low, high = 100 * estimate["low"], 100 * estimate["high"]
    value = 100 * estimate["value"]
    return f"{estimate['count']} of {estimate['n']} = {value:.1f} % ({low:.1f}–{high:.1f} %)"


def average(estimate: Mapping[str, Any], digits: int) -> str:
    """A mean with its interval, or with what is missing."""
    if estimate["value"] is None:
        return _NONE
    value = f"{estimate['value']:.{digits}f}"
    if estimate["low"] is None:
        return f"{value} ({estimate['why']})"
    return f"{value} ({estimate['low']:.{digits}f}–{estimate['high']:.{digits}f})"


def difference(estimate: Mapping[str, Any]) -> str:
    """A difference of rates in percentage points, with its interval."""
    if estimate["value"] is None:
        return f"{_NONE} ({estimate['why']})"
    reach = f"{points(estimate['low'])} to {points(estimate['high'])}"
    because = f"; {estimate['why']}" if estimate["why"] else ""
    return f"{points(estimate['value'])} points ({reach}; {estimate['n']} samples{because})"


def _standings(standings: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        "| contender | passed the gate | held-out loss | perplexity | judge's score | length "
        "| cut off |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in standings:
        cells = (
            one["role"],
            share(one["passed"]),
            f"{one['loss']['loss']:.4f}" if one["loss"] else _NONE,
            f"{one['perplexity']:,.2f}" if one["perplexity"] is not None else _NONE,
            average(one["score"], 3),
            average(one["length"], 0),
            share(one["truncated"]),
        )
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def _differences(found: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"student − {one['against']}: {difference(one['estimate'])}" for one in found]
    return _list("Paired differences in pass rate", lines)


def _stages(standings: Sequence[Mapping[str, Any]]) -> str:
    counted = [one for one in standings if one["num_samples"]]
    if not counted:
        return ""
    head = [stage["label"] for stage in counted[0]["stages"]]
    rows = [f"| contender | {' | '.join(head)} |", f"| --- |{' ---: |' * len(head)}"]
    for one in counted:
        numbers = " | ".join(str(stage["count"]) for stage in one["stages"])
        rows.append(f"| {one['role']} | {numbers} |")
    return "## How far the answers got\n\n" + "\n".join(rows)


def _reasons(standings: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"{one['role']}: "
        + ", ".join(f"{reason['count']} {_plain(reason['label'])}" for reason in one["reasons"])
        for one in standings
        if one["reasons"]
    ]
    return _list("First reasons of rejection", lines)


def _list(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _code(name: str) -> str:
    """A name from outside as code, so that nothing in it is Markdown."""
    return f"`{' '.join(name.replace('`', 'ʼ').split())}`"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _plain(text).replace("|", "/")
