"""Keep immutable rows immutable in the database too, and store their texts for speed.

`toast_tuple_target`: rows below it are stored inline without compression, which makes COPY 4x
faster; only for tables whose rows are never updated (measured, docs/decisions/0003-ledger.md).
"""

from __future__ import annotations

from django.db import migrations

INSERT_ONLY = (
    "call",
    "completion",
    "decision",
    "export",
    "exportedcompletion",
    "judgement",
    "purchase",
    "recipe",
    "reply",
    "runevent",
    "sample",
    "verdict",
)
WITH_TEXTS = ("completion", "reply", "sample")

REFUSE = """
CREATE FUNCTION distill_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are insert-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def _trigger(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER insert_only BEFORE UPDATE ON distill_{table} "
        "FOR EACH ROW EXECUTE FUNCTION distill_refuse_update()",
        f"DROP TRIGGER insert_only ON distill_{table}",
    )


def _toast(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE distill_{table} SET (toast_tuple_target = 8160)",
        f"ALTER TABLE distill_{table} RESET (toast_tuple_target)",
    )


class Migration(migrations.Migration):
    dependencies = [("distill", "0001_initial")]

    operations = [
        migrations.RunSQL(REFUSE, "DROP FUNCTION distill_refuse_update()"),
        *(_trigger(table) for table in INSERT_ONLY),
        *(_toast(table) for table in WITH_TEXTS),
    ]
