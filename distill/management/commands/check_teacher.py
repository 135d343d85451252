"""`manage.py check_teacher`: whether a teacher answers, and which models its provider has."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from distill.logic.errors import DistillError
from distill.management.help import HelpFormatter
from distill.teachers.official import check_teacher, list_models

_HELP = """\
Ask a teacher one tiny question, through the way that a run would take: the same address, key, proxy
and parameters. It prints who answered, how fast, and the answer, or what to do. It costs a few
tokens.

  manage.py check_teacher openrouter:gpt-4o
  manage.py check_teacher https://host:8443/v1#model-id --timeout 60
  manage.py check_teacher openai --models"""


class Command(BaseCommand):
    help = _HELP
    # It needs no database, so it can run before one exists.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=HelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="provider:model; with --models the provider is enough")
        parser.add_argument(
            "--models", action="store_true", help="list the provider's models, ask none of them"
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=30.0,
            metavar="SECONDS",
            help="give up after so many (%(default)g)",
        )

    def handle(self, *_args: str, **options: Any) -> None:
        if not 0.1 <= options["timeout"] <= 3600:
            raise CommandError("--timeout takes seconds from 0.1 to 3600")
        if options["models"]:
            self._list(options["name"], options["timeout"])
        else:
            self._check(options["name"], options["timeout"])

    def _list(self, name: str, timeout: float) -> None:
        try:
            models = list_models(name, timeout=timeout)
        except DistillError as error:
            raise CommandError(str(error)) from error
        for model in models:
            self.stdout.write(model)

    def _check(self, name: str, timeout: float) -> None:
        check = check_teacher(name, timeout=timeout)
        if not check.ok:
            raise CommandError(check.error)
        self.stdout.write(f"{check.name} answered in {check.latency_ms} ms as {check.model}:")
        self.stdout.write(check.text)
