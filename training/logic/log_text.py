"""What a program printed, as people can read it: without the codes that move a terminal's cursor."""

from __future__ import annotations

import re

# ECMA-48: control sequences, operating system commands, and the short escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def read_log(raw: bytes, *, is_cut: bool) -> list[str]:
    """The lines of a log; where only its end is given (`is_cut`), from its first whole line on.

    A line that was written over again and again, as progress bars are, is its last version.
    """
    lines = raw.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")
    if is_cut and len(lines) > 1:
        lines = lines[1:]
    shown = [_clean(line) for line in lines]
    while shown and not shown[-1]:
        shown.pop()
    return shown


def _clean(line: str) -> str:
    last = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROLS.sub("", _ESCAPES.sub("", last)).rstrip()
