"""Wherever a run can be started it is said that a model would score its own answers."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.urls import reverse

from tests.builders import make_completion, make_dataset, make_recipe, make_sample, make_user

pytestmark = pytest.mark.django_db

OWN = "models prefer their own answers"


@pytest.fixture
def recipe():
    judge = {"teacher": "offline:extractive"}
    return make_recipe(name="own", teacher={"name": "offline:extractive"}, judges=[judge])


def test_the_page_that_starts_a_run_says_it(client, recipe):
    client.force_login(make_user("operator"))
    dataset = make_dataset()
    make_sample(dataset)
    page = client.get(reverse("distill:start_run"), {"dataset": dataset.pk, "recipe": recipe.pk})
    assert OWN in page.content.decode()


def test_the_admin_says_it(client, recipe):
    admin = make_user("admin")
    admin.is_staff = admin.is_superuser = True
    admin.save()
    client.force_login(admin)
    dataset = make_dataset()
    make_sample(dataset)
    chosen = {"action": "start_pipeline", "_selected_action": dataset.pk, "recipe": recipe.pk}
    page = client.post(reverse("admin:distill_dataset_changelist"), chosen, follow=True)
    assert OWN in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_command_says_it(recipe, capsys):
    dataset = make_dataset()
    make_completion(make_sample(dataset), state="new")
    call_command("filter_pairs", dataset=dataset.name, recipe="own")
    assert OWN in capsys.readouterr().err
