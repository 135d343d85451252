"""The arguments by which a command is told which column holds what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.columns import FIELDS, Mapping
from distill.logic.errors import InputError
from distill.services.ingest import Problem, preview_file
from distill.services.ingest.readers import TEXT_SUFFIXES, counted_in, skipped_files

_OPTIONS = {
    "text": "the passage",
    "instruction": "what is asked about the passage",
    "domain": "the field of science",
    "source": "the document's id: its samples share a split",
    "title": "the document's title",
    "template": "the name of the template to ask with",
}
_FIELD_OF = {"source": "source_key", "template": "template_name"}


def add_columns(parser: CommandParser) -> None:
    """Add --text-column and its siblings, and --map for everything."""
    for name, meaning in _OPTIONS.items():
        parser.add_argument(f"--{name}-column", metavar="PATH", help=f"holds {meaning}")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=PATH",
        help="which column becomes which field, any number of times; fields are "
        f"{', '.join(FIELDS)}. FIELD= alone leaves the field out, FIELD==words gives it "
        "the same words in every row",
    )


def mapping_from(options: dict[str, Any], path: Path) -> Mapping:
    """The guessed mapping of a file, changed by what the options say."""
    changes: dict[str, str] = {}
    for name in _OPTIONS:
        if options[f"{name}_column"] is not None:
            changes[_FIELD_OF.get(name, name)] = options[f"{name}_column"]
    for entry in options["map"]:
        field, sign, column = entry.partition("=")
        if not sign or field not in FIELDS:
            raise InputError(
                f"--map {entry}: write FIELD=PATH, with one of these fields: {', '.join(FIELDS)}."
            )
        changes[field] = column
    return preview_file(path, path.name).mapping.with_paths(changes)


def say_mapping(mapping: Mapping, say: Callable[[str], object]) -> None:
    """Say which column becomes which field."""
    pairs = [f"{field} ← {path}" for field, path in mapping.paths.items()]
    say("Columns: " + ", ".join(pairs))


def say_refused(name: str, problems: Iterable[Problem], say: Callable[[str], object]) -> None:
    """Say which rows of the file of this name were refused, and why."""
    for problem in problems:
        where = f"{counted_in(name)} {problem.line}: " if problem.line else ""
        say(f"  {where}{problem.message}")


def say_skipped(path: Path, say: Callable[[str], object]) -> None:
    """Say which files of a folder are not read."""
    skipped = skipped_files(path)
    if skipped:
        say(f"{path.name}: only {', '.join(TEXT_SUFFIXES)} are read; skipped are {skipped}.")
