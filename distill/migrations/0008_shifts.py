"""Runs are shared by shifts: what a run itself said of its one worker goes.

Runs from before have no chunks; what is pending of them would never be found.
"""

from django.db import migrations

CUT_CHUNKS = """
INSERT INTO distill_chunk (run_id, first_id, last_id, is_done)
SELECT run_id, min(id), max(id), bool_and(state <> 'pending')
FROM (
    SELECT run_id, id, state,
        (row_number() OVER (PARTITION BY run_id ORDER BY id) - 1) / 500 AS part
    FROM distill_sampledraw
) AS draws
GROUP BY run_id, part
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("distill", "0007_engine")]

    operations = [
        migrations.RunSQL(CUT_CHUNKS, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="run", name="heartbeat_at"),
        migrations.RemoveField(model_name="run", name="lease_token"),
        migrations.RemoveField(model_name="run", name="pulse"),
    ]
