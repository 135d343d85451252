"""`manage.py create_token`: a token for the API, for a script on the same machine."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from distill.logic.errors import InputError
from distill.management.stage import StageCommand
from nexa_site.services.create_token import MAX_DAYS, create_token


class Command(StageCommand):
    help = """Make a token for the API and print it, once: nothing keeps it.

It may do what the roles of its owner allow, until it ends or is revoked on the page “API tokens”.
The token alone goes to standard output:

    TOKEN=$(manage.py create_token ada --name nightly --days 90)
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="whose roles it has")
        parser.add_argument(
            "--name", default="command line", help="what it is for (default: command line)"
        )
        parser.add_argument(
            "--days", type=int, default=30, help=f"when it ends: 1 to {MAX_DAYS} (default: 30)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise InputError(f"There is no user {options['user']!r}.")
        token, text = create_token(user=user, name=options["name"][:100], days=options["days"])
        self.stdout.write(text)
        self.stderr.write(f"It ends on {token.expiry:%d %B %Y}. It is not shown again.")
