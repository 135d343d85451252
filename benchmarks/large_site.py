"""A large site in the database: datasets, runs, completions, the ledger, decisions and queues."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model

from distill.logic.recipe import Recipe, default_recipe
from distill.models import Dataset, Export
from distill.queries.opinions import stamps_of
from distill.services.export import export_dataset
from distill.services.recipes import save_recipe
from nexa_site.services.bootstrap import create_roles

PASSWORD = "only for this benchmark"  # noqa: S105 - the database is thrown away
REVIEWERS = tuple(f"reviewer{number}" for number in range(1, 9))
PEOPLE = {**dict.fromkeys(REVIEWERS, "reviewer"), "lead": "lead", "operator": "operator"}
_SCREENED = ("duplicate_prompts", "duplicate_pairs", "contamination")
_COUNTS = """
SELECT relname, reltuples::bigint FROM pg_class
WHERE relkind = 'r' AND relname ~ '^(distill|review)_' ORDER BY relname
"""
_SQL = Path(__file__).with_name("large_site.sql")


def build_site(num_samples: int) -> dict[str, int]:
    """Fill an empty, migrated database; return how many rows the largest tables have."""
    create_roles()
    _add_people()
    for name, max_tokens in product("abcdefghij", (512, 1024)):
        content = {
            "name": f"recipe-{name}",
            "teacher": {"max_tokens": max_tokens},
            # A thousand passages stand for all texts, so that held-out ones are among them.
            "screening": dict.fromkeys(_SCREENED, False),
        }
        save_recipe(content=Recipe.model_validate(content))
    num_decisions = min(5_000, num_samples // 10)
    sql = _SQL.read_text().replace(":samples", str(num_samples))
    sql = sql.replace(":rubric", stamps_of(default_recipe())["F"][1])
    with connection.cursor() as cursor:
        cursor.execute(sql.replace(":decisions", str(num_decisions)))
        models = [model for label in ("distill", "review") for model in _models(label)]
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
    papers = Dataset.objects.get(name="papers")
    for policy in (Export.Policy.REVIEWED, Export.Policy.GATE):
        export_dataset(dataset=papers, policy=policy)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(_COUNTS)
        return dict(cursor.fetchall())


def _add_people() -> None:
    password = make_password(PASSWORD)
    groups = {group.name: group for group in Group.objects.all()}
    for name, role in PEOPLE.items():
        User.objects.create(username=name, password=password).groups.add(groups[role])
    User.objects.create(username="admin", password=password, is_superuser=True, is_staff=True)


def _models(label: str) -> list[type[Model]]:
    return list(apps.get_app_config(label).get_models())
