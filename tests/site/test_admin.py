"""Django's admin: who enters, what cannot be changed, and what the actions start."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from distill.models import Dataset, Run
from nexa_site.services.bootstrap import create_roles
from tests.builders import make_completion, make_dataset, make_recipe, make_run, make_user

pytestmark = pytest.mark.django_db

OWN = [
    model
    for name in ("distill", "review", "training")
    for model in apps.get_app_config(name).get_models()
]


def enter(client: Client, *roles: str) -> Client:
    create_roles()
    client.force_login(make_user(*roles))  # type: ignore[arg-type]
    return client


@pytest.mark.parametrize("model", OWN, ids=lambda model: model.__name__)
def test_every_model_has_a_list_that_operators_see(client: Client, model: type) -> None:
    make_run(dataset=make_completion().sample.dataset)
    options = model._meta  # type: ignore[attr-defined]
    url = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    assert enter(client, "operator").get(url).status_code == 200
    assert admin.site.is_registered(model)


def test_immutable_rows_are_shown_without_a_way_to_change_them(client: Client) -> None:
    completion = make_completion()
    url = reverse("admin:distill_completion_change", args=[completion.id])
    response = enter(client, "admin").get(url)
    assert response.status_code == 200
    assert b'name="_save"' not in response.content
    assert client.post(url, {"text": "changed"}).status_code == 403


@pytest.mark.parametrize(("role", "status"), [("reviewer", 302), ("operator", 200), ("lead", 200)])
def test_reviewers_stay_outside(client: Client, role: str, status: int) -> None:
    assert enter(client, role).get(reverse("admin:index")).status_code == status


def test_the_page_of_a_user_says_what_the_roles_may(client: Client) -> None:
    url = reverse("admin:auth_user_change", args=[make_user("reviewer").pk])
    page = enter(client, "admin").get(url).content.decode()
    assert "Roles (groups)" in page
    assert "sees nothing. Reviewer: reviews." in page


@pytest.mark.parametrize("kind", Run.Kind)
def test_an_action_starts_its_stage_for_each_selected_dataset(client: Client, kind: str) -> None:
    datasets = [make_dataset(), make_dataset()]
    recipe = make_recipe(name="chosen")
    response = enter(client, "operator").post(
        reverse("admin:distill_dataset_changelist"),
        {
            "action": f"start_{kind}",
            "recipe": recipe.id,
            "_selected_action": [dataset.id for dataset in datasets],
        },
        follow=True,
    )
    assert b"is queued" in response.content
    assert list(Run.objects.values_list("kind", "recipe")) == [(kind, recipe.id)] * 2
    assert OrmQ.objects.count() == 2


def test_a_lead_may_look_but_not_start(client: Client) -> None:
    dataset = make_dataset()
    response = enter(client, "lead").post(
        reverse("admin:distill_dataset_changelist"),
        {"action": "start_pipeline", "_selected_action": [dataset.id]},
        follow=True,
    )
    assert response.status_code == 200
    assert not Run.objects.exists()


def test_a_teacher_that_costs_money_is_refused_without_a_limit(client: Client) -> None:
    recipe = make_recipe(name="paid", teacher={"name": "openai:gpt-4o"})
    response = enter(client, "operator").post(
        reverse("admin:distill_dataset_changelist"),
        {
            "action": "start_generate",
            "recipe": recipe.id,
            "_selected_action": [make_dataset().id],
        },
        follow=True,
    )
    assert b"costs money" in response.content
    assert not Run.objects.exists()
    assert Dataset.objects.count() == 1


def test_runs_stop_and_resume(client: Client) -> None:
    run = make_run()
    url = reverse("admin:distill_run_changelist")
    enter(client, "operator").post(url, {"action": "stop", "_selected_action": [run.id]})
    run.refresh_from_db()
    assert run.state == Run.State.STOPPED
    client.post(url, {"action": "resume", "_selected_action": [run.id]})
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
    assert OrmQ.objects.count() == 1
