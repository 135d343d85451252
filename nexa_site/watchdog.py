"""Whether a cluster of the task queue has stopped working without having ended.

django-q2 hangs for ever when an idle worker is killed while it holds the queue's lock: its tasks
stay due and nobody runs them. Asked of the database in plain SQL, for the supervisor knows no
application; a table that is not there yet means: nothing to say.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

# What is due for that long, while no step gives a sign of life, waits for a cluster that hangs.
PATIENCE_SECONDS = 60
# Where the steps of each cluster leave their sign of life.
HEARTBEATS = {
    "pipeline": (("distill_shift", "heartbeat_at"), ("distill_sourcefile", "beat_at")),
    "gpu": (
        ("training_trainingrun", "heartbeat_at"),
        ("training_evaluation", "heartbeat_at"),
    ),
}


def hangs(dsn: str, cluster: str) -> bool:
    """Say whether tasks of `cluster` are long due while none of its steps gives a sign of life."""
    if cluster not in HEARTBEATS:
        return False
    due = sql.SQL(
        "SELECT EXISTS (SELECT 1 FROM django_q_ormq WHERE key = %(key)s"
        " AND lock < now() - make_interval(secs => %(patience)s))"
    )
    query = sql.SQL("").join((due, *(_silent(*heartbeat) for heartbeat in HEARTBEATS[cluster])))
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            values = {"key": cluster, "patience": PATIENCE_SECONDS}
            answer = connection.execute(query, values).fetchone()
    except (
        psycopg.OperationalError,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
    ):
        return False
    return bool(answer and answer[0])


def _silent(table: str, column: str) -> sql.Composed:
    return sql.SQL(
        " AND NOT EXISTS (SELECT 1 FROM {table}"
        " WHERE {column} > now() - make_interval(secs => %(patience)s))"
    ).format(table=sql.Identifier(table), column=sql.Identifier(column))
