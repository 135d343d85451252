"""`manage.py offline_teacher`: serve the stand-in for a teacher, in the foreground."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from distill.logic.errors import InputError
from distill.management.help import HelpFormatter
from distill.teachers.offline.misbehave import PRESETS, Fault, parse_faults, parse_latency
from distill.teachers.offline.models import OFFLINE_MODELS
from distill.teachers.offline.process import base_url
from distill.teachers.offline.server import run_server

_HELP = f"""\
Serve the offline teacher: a stand-in for a real one, on this machine alone.

It speaks the OpenAI chat-completions protocol, so `openai`'s own client works against it, but it
holds no model. `offline:extractive` builds a hypothesis and a methodology from the sentences of
the passage it is given; `offline:rubric` scores an answer by transparent rules. The same request
always gets the same reply; another seed gets another one. Use it to run the whole pipeline
without a key, never for data that a student should learn science from.

Commands that name an offline teacher start one for their own duration where none runs. This
command keeps one running, and lets it fail on purpose:

  manage.py offline_teacher --misbehave moderate --latency lognormal:1.0
  manage.py offline_teacher --misbehave rate_limited=0.05,server=0.02,retry_after=2,seed=7

Presets: {", ".join(PRESETS)}.
Faults, each a share of the requests from 0 to 1:
  {", ".join(list(Fault)[:6])},
  {", ".join(list(Fault)[6:])}.
Numbers beside them: seed, retry_after and slow_seconds (both in seconds), and two limits that it
holds to: rpm (requests a minute, told in headers) and capacity (requests at once). What is above
them gets a 429. A request that meets `hang` gets no answer until the client goes away.

While it runs: GET /stats counts requests and what a real provider would have billed, and
POST /misbehave with {{"faults": "...", "latency": "..."}} changes both."""


class Command(BaseCommand):
    help = _HELP
    # It needs no database, so it can run before one exists.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=HelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=settings.OFFLINE_TEACHER_PORT,
            help="on 127.0.0.1; 0 takes a free one (OFFLINE_TEACHER_PORT, now %(default)s)",
        )
        parser.add_argument(
            "--misbehave", default="none", metavar="FAULTS", help="a preset, or fault=share,…"
        )
        parser.add_argument(
            "--latency",
            default="0",
            metavar="SECONDS",
            help="before each reply: 0.5, or lognormal:MEDIAN[:SIGMA]",
        )

    def handle(self, *_args: str, **options: Any) -> None:
        try:
            run_server(
                options["port"],
                parse_faults(options["misbehave"]),
                parse_latency(options["latency"]),
                announce=self._announce,
            )
        except InputError as error:
            raise CommandError(str(error)) from error

    def _announce(self, port: int) -> None:
        models = " and ".join(f"offline:{model}" for model in OFFLINE_MODELS)
        self.stdout.write(f"The offline teacher answers at {base_url(port)} ({models}).")
        self.stdout.write("It is a stand-in, not a model. Ctrl-C ends it.")
        self.stdout.flush()
