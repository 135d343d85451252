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


def clean_log(raw: bytes, *, is_cut: bool) -> str:
    """A log as text; where only its end is given (`is_cut`), from its first whole line on.

    A line that was written over again and again, as progress bars are, is its last version.
    """
    lines = raw.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")
    if is_cut and len(lines) > 1:
        lines = lines[1:]
    return "\n".join(map(_clean, lines)).rstrip("\n")


def _clean(line: str) -> str:
    last = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROLS.sub("", _ESCAPES.sub("", last)).rstrip()
