"""`python -m distill.teachers.offline --port 0`: prints its port, then serves until it is ended."""

from __future__ import annotations

import argparse
import sys

from distill.logic.errors import InputError
from distill.teachers.offline.misbehave import parse_faults, parse_latency
from distill.teachers.offline.process import DEFAULT_PORT
from distill.teachers.offline.server import run_server


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m distill.teachers.offline", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    parser.add_argument("--misbehave", default="none", metavar="FAULTS")
    parser.add_argument("--latency", default="0", metavar="SECONDS")
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    try:
        faults, latency = parse_faults(options.misbehave), parse_latency(options.latency)
    except InputError as error:
        parser.error(str(error))
    try:
        run_server(
            options.port,
            faults,
            latency,
            announce=_announce,
            ends_with_stdin=options.end_with_stdin,
        )
    except InputError as error:
        sys.exit(f"offline teacher: {error}")


def _announce(port: int) -> None:
    """The parent reads the port from our first line."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
