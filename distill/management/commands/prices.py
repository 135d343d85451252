"""`manage.py prices`: the price list on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.price_table import dump_price_table, load_price_table
from distill.management import stage
from distill.queries.prices import current_table, newest_price_list
from distill.services.files import plain_errors
from distill.services.price_lists import current_price_list, save_price_list


class Command(stage.StageCommand):
    help = """Show the prices that new runs reckon with, write them to a file, or take them from one.

    manage.py prices
    manage.py prices export prices.yaml
    manage.py prices import prices.yaml --note "our contract of May"

Prices are US dollars per million tokens. Importing makes a new version; runs that are there keep the
prices they were made with. A model that is not listed is unpriced.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            choices=["show", "export", "import"],
            default="show",
            help="what to do; without it, show",
        )
        parser.add_argument("file", nargs="?", type=Path, help="the YAML file")
        parser.add_argument("--note", default="", help="what was changed and why")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path | None = options["file"]
        if options["action"] == "import":
            self._import(_given(path), options["note"])
        elif options["action"] == "export" and path is not None:
            with plain_errors(path):
                path.write_text(dump_price_table(current_table()), encoding="utf-8")
            self.stdout.write(f"Wrote {len(current_table().prices)} prices to {path}.")
        elif options["action"] == "export":
            self.stdout.write(dump_price_table(current_table()), ending="")
        else:
            self._show()

    def _import(self, path: Path, note: str) -> None:
        with plain_errors(path):
            content = path.read_bytes()
        if len(content) > 4 * MAX_CHARS:
            raise InputError(f"{path.name} is too large: at most {MAX_CHARS:,} characters.")
        try:
            table = load_price_table(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InputError(f"{path.name} is not UTF-8 text (byte {error.start}).") from error
        before = current_price_list()
        saved = save_price_list(table=table, based_on=before, note=note[:200])
        new = "Nothing new: this is" if saved == before else "Saved as"
        self.stdout.write(f"{new} {saved}; {len(table.prices)} models have a price.")

    def _show(self) -> None:
        table, version = current_table(), newest_price_list()
        self.stdout.write(
            f"{version or 'The shipped table'}, as of {table.as_of}, {table.currency} per million:"
        )
        width = max((len(name) for name in table.prices), default=0)
        for name, entry in table.prices.items():
            cached = entry.cached_input_per_million
            told = "" if cached is None else f" (cached {cached:g})"
            self.stdout.write(
                f"  {name:{width}}  in {entry.input_per_million:g}{told}, "
                f"out {entry.output_per_million:g}"
            )


def _given(path: Path | None) -> Path:
    if path is None:
        raise InputError("Name the file: manage.py prices import prices.yaml")
    return path
