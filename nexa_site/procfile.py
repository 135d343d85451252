"""The Procfile: which processes make up the running project. Read without a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\s*:\s*(?P<command>.+)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)


class ProcfileError(ValueError):
    """The Procfile cannot be read; the message names the line."""


@dataclass(frozen=True)
class Entry:
    """One line of the Procfile: a name, the program with its arguments, what is set for it."""

    name: str
    argv: tuple[str, ...]
    variables: Mapping[str, str]

    @property
    def cluster(self) -> str | None:
        """The name of the task queue's cluster that this process is, if it is one."""
        if "qcluster" not in self.argv:
            return None
        return self.variables.get("Q_CLUSTER_NAME", "pipeline")


def read(path: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the entries of the Procfile in its order, `$NAME` filled in from `environment`."""
    entries = [
        _parse(line.strip(), number, environment)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not entries:
        raise ProcfileError(f"{path} names no process")
    return entries


def _parse(line: str, number: int, environment: Mapping[str, str]) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProcfileError(f"Procfile, line {number}: expected `name: command`, got {line!r}")

    def fill(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environment:
            raise ProcfileError(f"Procfile, line {number}: ${name} is not set")
        return environment[name]

    words = [_VARIABLE.sub(fill, word) for word in shlex.split(match["command"])]
    variables: dict[str, str] = {}
    if os.path.basename(words[0]) == "env":  # noqa: PTH119 - a word, not a path
        words = words[1:]
        while words and _ASSIGNMENT.fullmatch(words[0]):
            key, value = words.pop(0).split("=", 1)
            variables[key] = value
    if not words:
        raise ProcfileError(f"Procfile, line {number}: no command")
    return Entry(match["name"], tuple(words), variables)
