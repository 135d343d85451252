#!/usr/bin/env python
"""Django's commands, with the project's own database server at hand for those that need one."""

from __future__ import annotations

import os
import sys

from nexa_site.env import EnvError, read_env
from nexa_site.keeper import KeeperError, attach

WITHOUT_DATABASE = frozenset(
    (
        *("check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help"),
        *("makemessages", "makemigrations", "offline_teacher", "startapp", "startproject"),
        *("version", "--version", "--help", "-h"),
    )
)


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexa_site.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError
    from psycopg.errors import UndefinedColumn, UndefinedTable

    try:
        env = read_env()
        if env.database_url is None and WITHOUT_DATABASE.isdisjoint(sys.argv[1:2] or ["help"]):
            # Held until this process and its forks have ended; then the server stops by itself.
            attach(env.data_dir)
    except (EnvError, KeeperError) as error:
        sys.exit(str(error))
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        # No server, no space, no memory: nothing that a traceback would explain.
        sys.exit(f"The database could not do it: {' '.join(str(error).split())}")
    except ProgrammingError as error:
        if "--traceback" in sys.argv or not isinstance(
            error.__cause__, (UndefinedColumn, UndefinedTable)
        ):
            raise
        sys.exit(
            "The database's tables are missing, or older than this program: "
            "run `make up`, or `manage.py migrate`."
        )


if __name__ == "__main__":
    main()
