"""`manage.py import_recipe`: the guide's config files as one recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.guide_configs import import_guide_configs
from distill.logic.recipe import dump_recipe
from distill.management import stage
from distill.services.files import plain_errors
from distill.services.recipes import save_recipe


class Command(stage.StageCommand):
    help = """Make one recipe of the guide's config files: distill_config.yaml, filters.yaml and
teacher_gen_v1.yaml (or teacher_models.yaml). Any of them may be missing.

    manage.py import_recipe --distill-config distill_config.yaml --filters filters.yaml --name guide
    manage.py import_recipe --teacher teacher_gen_v1.yaml --name guide --dry-run > guide.yaml

Scores of 0 to 100 become 0 to 1, prices per 1,000 tokens become prices per million, a model without
a provider is OpenAI's. What is ignored, changed or unknown is said with its file and line.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        for option, words in (
            ("--distill-config", "the guide's distill_config.yaml"),
            ("--filters", "its filters.yaml"),
            ("--teacher", "its teacher_gen_v1.yaml"),
        ):
            parser.add_argument(option, type=Path, metavar="FILE", help=words)
        parser.add_argument("--name", required=True, help="the recipe's name")
        parser.add_argument(
            "--dry-run", action="store_true", help="print the recipe as YAML and save nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = import_guide_configs(
            name=options["name"],
            distill_config=_read(options["distill_config"]),
            filters=_read(options["filters"]),
            teacher_gen=_read(options["teacher"]),
        )
        for note in found.notes:
            self.stderr.write(str(note))
        if options["dry_run"]:
            self.stdout.write(dump_recipe(found.recipe), ending="")
            return
        recipe = save_recipe(content=found.recipe)
        self.stdout.write(f"Saved as {recipe}: use it with --recipe {recipe.name}.")


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    with plain_errors(path):
        content = path.read_bytes()
    if len(content) > 4 * MAX_CHARS:
        raise InputError(f"{path.name} is too large: at most {MAX_CHARS:,} characters.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text (byte {error.start}).") from error
