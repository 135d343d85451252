"""A site whose one queue holds many completions, and people to decide them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.served_site import Browser

QUEUE_NAME = "All of them"
_SQL = Path(__file__).with_name("review_site.sql")


def build_review_site(num_completions: int, num_people: int, say: Callable[[str], None]) -> int:
    """Fill an empty, migrated database; return the queue's id. Everybody has read its guidelines."""
    from django.contrib.auth.models import Group, User
    from django.db import connection

    from distill.models import Dataset
    from nexa_site.services.bootstrap import create_roles
    from review.models import GuidelineReading, Queue
    from review.services.fill import fill_queue

    create_roles()
    group = Group.objects.get(name="reviewer")
    for number in range(num_people):
        User.objects.create(username=f"person{number}").groups.add(group)
    with connection.cursor() as cursor:
        cursor.execute(_SQL.read_text().replace(":samples", str(num_completions)))
    queue = Queue.objects.create(
        dataset=Dataset.objects.get(), name=QUEUE_NAME, is_default=True, random_share=15
    )
    began = time.perf_counter()
    num_slots = fill_queue(queue_id=queue.pk)
    say(f"{num_slots:,} slots filled in {time.perf_counter() - began:.0f} s")
    GuidelineReading.objects.bulk_create(
        GuidelineReading(queue=queue, reviewer=one, version=1) for one in User.objects.all()
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return queue.pk


def come_in(port: int, name: str) -> Browser:
    """A session of this person, without the login's slow hash."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username=name))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    browser = Browser(port, {settings.SESSION_COOKIE_NAME: session})
    browser.get("/review/mine/")
    return browser
