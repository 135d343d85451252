from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from distill.models import SourceFile
from nexa_site import watchdog
from tests.builders import make_sample

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timedelta(seconds=watchdog.PATIENCE_SECONDS + 5)


@pytest.fixture
def dsn() -> str:
    connection.ensure_connection()
    inner = connection.connection
    assert isinstance(inner, psycopg.Connection)
    return inner.info.dsn


@pytest.fixture
def _heartbeats(monkeypatch):
    """A table of heartbeats of the test's own: which steps there are is no matter here."""
    monkeypatch.setattr(watchdog, "HEARTBEATS", {"pipeline": (("beats", "at"),)})
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE beats (at timestamptz)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE beats")


def _put_task(age: timedelta, key: str = "pipeline") -> None:
    from django_q.models import OrmQ

    OrmQ.objects.create(key=key, payload="", lock=timezone.now() - age)


def _beat(age: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO beats VALUES (%s)", [timezone.now() - age])


@pytest.mark.usefixtures("_heartbeats")
def test_a_task_long_due_without_a_heartbeat_means_it_hangs(dsn) -> None:
    _put_task(LONG_AGO)
    _beat(LONG_AGO)
    assert watchdog.hangs(dsn, "pipeline")


@pytest.mark.usefixtures("_heartbeats")
def test_a_fresh_heartbeat_means_it_works(dsn) -> None:
    _put_task(LONG_AGO)
    _beat(timedelta(seconds=1))
    assert not watchdog.hangs(dsn, "pipeline")


@pytest.mark.usefixtures("_heartbeats")
def test_a_task_just_due_means_nothing(dsn) -> None:
    _put_task(timedelta(seconds=1))
    assert not watchdog.hangs(dsn, "pipeline")


@pytest.mark.usefixtures("_heartbeats")
def test_another_clusters_task_means_nothing(dsn) -> None:
    _put_task(LONG_AGO, key="gpu")
    assert not watchdog.hangs(dsn, "pipeline")
    assert not watchdog.hangs(dsn, "gpu")


def test_a_missing_table_means_nothing(dsn, monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "HEARTBEATS", {"pipeline": (("not_there", "at"),)})
    _put_task(LONG_AGO)
    assert not watchdog.hangs(dsn, "pipeline")


def test_a_database_that_does_not_answer_means_nothing() -> None:
    assert not watchdog.hangs("postgresql://nobody@127.0.0.1:1/none", "pipeline")


@pytest.mark.usefixtures("_heartbeats")
def test_an_import_that_goes_on_is_a_sign_of_life_too(dsn, monkeypatch) -> None:
    monkeypatch.setattr(
        watchdog,
        "HEARTBEATS",
        {"pipeline": (("beats", "at"), ("distill_sourcefile", "beat_at"))},
    )
    _put_task(LONG_AGO)
    assert watchdog.hangs(dsn, "pipeline")
    file = make_sample().source_file
    SourceFile.objects.filter(pk=file.pk).update(beat_at=timezone.now())
    assert not watchdog.hangs(dsn, "pipeline")


def test_every_table_with_a_heartbeat_is_there() -> None:
    with connection.cursor() as cursor:
        for heartbeats in watchdog.HEARTBEATS.values():
            for table, column in heartbeats:
                columns = connection.introspection.get_table_description(cursor, table)
                assert column in {found.name for found in columns}
