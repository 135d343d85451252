"""`manage.py bootstrap`: what `make up` runs before it starts web and workers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from distill import tasks
from nexa_site.services import bootstrap
from review.tasks import run_follow
from training.tasks import enqueue_active_trainings, run_watch_trainings


class Command(BaseCommand):
    help = """Prepare an installation: roles, the first admin, the demo, and lost work.

Run by `make up` before web and workers start; running it again changes nothing that is there.
The first time it makes the user "admin" and prints the password, once. The demo (144 short
synthetic passages and a recipe for the offline teacher) is loaded and its pipeline queued once. Runs and trainings that a killed worker left are queued again.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="leave the demo out")

    def handle(self, *args: Any, **options: Any) -> None:
        bootstrap.create_roles()
        password = bootstrap.create_first_admin()
        if password:
            self.stdout.write(f"Log in as {bootstrap.ADMIN} with the password {password}")
            self.stdout.write("It is not shown again; change it on the site.")
        if not options["no_demo"]:
            bootstrap.load_demo()
        tasks.schedule_minutely(tasks.enqueue_stale_runs)
        tasks.schedule_minutely(run_follow)
        tasks.schedule_minutely(run_watch_trainings)
        tasks.enqueue_active_runs()
        enqueue_active_trainings()
