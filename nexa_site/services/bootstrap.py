"""What a fresh installation needs before its first page: roles, an admin, the demo."""

from __future__ import annotations

import secrets
from pathlib import Path

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

import distill
from distill.http import ROLE_NAMES
from distill.logic.recipe import load_recipe
from distill.models import Dataset, Recipe, Run
from distill.services.ingest import import_file
from distill.services.recipes import save_recipe
from distill.services.runs import create_run

DEMO = "demo"
DEMO_FOLDER = Path(distill.__file__).parent / "demo"
ADMIN = "admin"
OWN_APPS = ("distill", "review", "training")


def create_roles() -> None:
    """Make the groups that stand for roles, with what each may see in Django's admin."""
    own = Permission.objects.filter(content_type__app_label__in=OWN_APPS)
    may_see = own.filter(codename__startswith="view_")
    permissions = {"operator": may_see, "lead": may_see, "admin": Permission.objects.all()}
    for name in ROLE_NAMES:
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(permissions.get(name, Permission.objects.none()))


def create_first_admin() -> str | None:
    """Make the user `admin` where nobody may administer yet; return the password, said once."""
    with transaction.atomic():
        if User.objects.select_for_update().filter(is_superuser=True).exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser(ADMIN, password=password)
        return password


def load_demo() -> Run | None:
    """Import the demo's passages, then make its recipe and queue its run; None the second time.

    The recipe is made last: its presence says that the demo was here, even if it was deleted
    since. An import that was interrupted goes on.
    """
    if Recipe.objects.filter(name=DEMO).exists():
        return None
    dataset, _ = Dataset.objects.get_or_create(
        name=DEMO, defaults={"description": "Short synthetic passages that come with the project."}
    )
    path = DEMO_FOLDER / "passages.jsonl"
    import_file(dataset=dataset, path=path, name=path.name)
    content = load_recipe((DEMO_FOLDER / "recipe.yaml").read_text("utf-8"))
    with transaction.atomic():
        recipe = save_recipe(content=content)
        return create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
