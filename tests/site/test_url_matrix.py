"""Every address × who asks: a table of what each person gets. An address it lacks fails.

A new page: add its row to `PAGES` (who sees it, who may post, which objects its address names).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from distill.http import RoleName
from distill.models import Export, Run, SampleDraw
from distill.services.export import export_dataset
from nexa_site.services.bootstrap import create_roles
from review.models import Queue
from review.services.fill import fill_queues
from tests.builders import make_run, make_sample_draw, make_training_run, make_user
from training.models import TrainingRun

ROLES: tuple[RoleName, ...] = ("reviewer", "lead", "operator", "admin")
NOBODY = "without a role"
PEOPLE = (NOBODY, *ROLES)

LEADS = ("lead", "operator", "admin")
OPERATORS = ("operator", "admin")
REVIEWERS = ("reviewer", "lead", "admin")

TO_LOGIN, FORBIDDEN, NO_METHOD, MOVED, NO_REPORT = 302, 403, 405, 302, 415


@dataclass(frozen=True)
class Page:
    """What an address gives: `see` by GET, `post` by POST, each to some; others get a 403.

    `get` and `posted` are the statuses; a `get` of 405 is a view that only changes things.
    """

    see: tuple[str, ...] = LEADS
    post: tuple[str, ...] = ()
    get: int = 200
    posted: int = MOVED
    named: Callable[[Any], list[object]] = lambda _: []
    is_public: bool = False
    needs_token: bool = True
    get_by: Mapping[str, int] = field(default_factory=dict)


def _action(people: tuple[str, ...], named: Callable[[Any], list[object]], **more: Any) -> Page:
    """A view that changes something: POST alone."""
    return Page(see=people, post=people, named=named, **{"get": NO_METHOD, **more})


def _run(things: Any) -> list[object]:
    return [things.run.pk]


def _recipe(things: Any) -> list[object]:
    return [things.run.recipe.name, things.run.recipe.version]


def _dataset(things: Any) -> list[object]:
    return [things.run.dataset_id]


def _queue(things: Any) -> list[object]:
    return [things.queue.pk]


def _training(things: Any) -> list[object]:
    return [things.training_run.pk]


def _evaluation(things: Any) -> list[object]:
    return [things.training_run.evaluations.get().pk]


PAGES: Mapping[str, Page] = {
    # the site
    "home": Page(see=PEOPLE),
    "healthz": Page(see=PEOPLE, is_public=True),
    # Browsers send their reports without token and, from the login, without a person.
    "csp_report": _action(
        PEOPLE, lambda _: [], posted=NO_REPORT, is_public=True, needs_token=False
    ),
    "login": Page(see=PEOPLE, post=PEOPLE, posted=200, is_public=True),
    "logout": _action(PEOPLE, lambda _: []),
    "password_change": Page(see=PEOPLE, post=PEOPLE, posted=200),
    "password_change_done": Page(see=PEOPLE),
    # datasets
    "distill:datasets": Page(),
    "distill:dataset": Page(named=_dataset),
    "distill:upload_dataset": Page(see=OPERATORS, post=OPERATORS, posted=422),
    # An upload is known to nobody but the session that sent it.
    "distill:map_upload": Page(
        see=OPERATORS, post=OPERATORS, get=404, posted=404, named=lambda _: [uuid.uuid4()]
    ),
    "distill:delete_dataset": Page(see=OPERATORS, post=OPERATORS, posted=422, named=_dataset),
    "distill:download_refused": Page(
        named=lambda things: [things.run.dataset_id, things.run.dataset.source_files.last().pk]
    ),
    "distill:screening": Page(named=_dataset),
    "distill:rules": Page(named=_dataset),
    "distill:rule": Page(named=lambda things: [things.run.dataset_id, "citation"]),
    "distill:gate": Page(named=_dataset),
    "distill:gate_completions": Page(named=_dataset, get=MOVED),  # no snapshot was taken yet
    "distill:refresh_gate": _action(LEADS, _dataset),
    "distill:save_gate": _action(OPERATORS, _dataset),
    "distill:write_labels": _action(LEADS, _dataset),
    "distill:download_labels": Page(named=lambda things: [things.run.dataset_id, "accepted"]),
    # runs
    "distill:runs": Page(),
    "distill:run": Page(named=_run),
    "distill:start_run": Page(see=OPERATORS, post=OPERATORS, posted=422),
    "distill:test_teacher": _action(OPERATORS, lambda _: [], posted=422),
    "distill:list_teachers": _action(OPERATORS, lambda _: [], posted=200),
    "distill:stop_run": _action(OPERATORS, _run),
    "distill:resume_run": _action(OPERATORS, _run),
    "distill:raise_budget": _action(OPERATORS, _run),
    "distill:settle_lost": _action(OPERATORS, _run),
    # completions
    "distill:completions": Page(),
    "distill:completion": Page(named=lambda things: [things.completion.pk]),
    "distill:download_completions": Page(),
    # exports
    "distill:exports": Page(post=LEADS, posted=422),
    "distill:export": Page(named=lambda things: [things.export.pk]),
    "distill:download_export_zip": Page(named=lambda things: [things.export.pk]),
    "distill:download_export_file": Page(named=lambda things: [things.export.pk, "train.jsonl"]),
    # recipes
    "distill:recipes": Page(),
    "distill:new_recipe": Page(post=LEADS, posted=422),
    "distill:check_recipe": _action(LEADS, lambda _: [], posted=422),
    "distill:import_recipe": Page(post=LEADS, posted=422),
    "distill:recipe": Page(named=_recipe),
    "distill:download_recipe": Page(named=_recipe),
    # prices
    "distill:prices": Page(),
    "distill:edit_prices": Page(see=OPERATORS, post=OPERATORS, posted=422),
    "distill:restore_prices": _action(OPERATORS, lambda _: []),
    # review; who comes to an action by GET, back from the login, is sent to the queue
    "review:queues": Page(see=PEOPLE[1:]),
    "review:queue": Page(see=REVIEWERS, named=_queue),
    "review:adjudicate": Page(
        see=("lead", "admin"), post=("lead", "admin"), posted=422, named=_queue
    ),
    "review:reopen_adjudication": _action(("lead", "admin"), _queue),
    "review:mine": Page(see=REVIEWERS),
    "review:keys": Page(see=REVIEWERS, post=REVIEWERS),
    "review:extend": _action(REVIEWERS, _queue, get=MOVED),
    "review:leave": _action(REVIEWERS, _queue, get=MOVED, posted=400),
    "review:judge": _action(REVIEWERS, _queue, get=MOVED, posted=400),
    "review:past": Page(see=REVIEWERS, named=_queue, get=404),
    "review:claim": _action(REVIEWERS, _queue, get=MOVED),
    "review:decide": _action(REVIEWERS, _queue, get=MOVED),
    "review:draft": _action(REVIEWERS, _queue, get=MOVED),
    "review:undo": _action(REVIEWERS, _queue, get=MOVED),
    "review:read": _action(REVIEWERS, _queue, get=MOVED),
    "review:guidelines": Page(see=PEOPLE[1:], named=_queue),
    "review:about_queue": Page(see=PEOPLE[1:], named=_queue),
    "review:new_queue": Page(see=("lead", "admin"), post=("lead", "admin"), posted=422),
    "review:edit_queue": Page(
        see=("lead", "admin"), post=("lead", "admin"), posted=422, named=_queue
    ),
    "review:close_queue": _action(("lead", "admin"), _queue),
    "review:reopen_queue": _action(("lead", "admin"), _queue),
    "review:delete_queue": _action(("lead", "admin"), _queue),
    # the API's pages for people; a token is made by POST, and shown in that answer alone
    "api_reference": Page(see=PEOPLE),
    "api_tokens": Page(see=PEOPLE, post=PEOPLE, posted=422),
    "revoke_api_token": _action(PEOPLE, lambda _: []),
    # training
    "training:training_runs": Page(),
    "training:start_training": Page(see=OPERATORS, post=OPERATORS, posted=422),
    "training:training_run": Page(named=_training),
    "training:stop_training": _action(OPERATORS, _training),
    "training:resume_training": _action(OPERATORS, _training),
    "training:download_log": Page(named=_training),
    "training:download_metrics": Page(named=_training),
    "training:download_spec": Page(named=_training),
    "training:start_evaluation": _action(OPERATORS, _training),
    "training:evaluation": Page(named=_evaluation),
    "training:stop_evaluation": _action(OPERATORS, _evaluation),
    # It has no report card yet.
    "training:download_report_json": Page(named=_evaluation, get=404),
    "training:download_report_markdown": Page(named=_evaluation, get=404),
    # Django's admin, but for its models
    "admin:index": Page(),
    "admin:login": Page(
        see=PEOPLE, post=PEOPLE, posted=200, is_public=True, get_by=dict.fromkeys(LEADS, MOVED)
    ),
    "admin:logout": _action(LEADS, lambda _: []),
    "admin:password_change": Page(post=LEADS, posted=200),
    "admin:password_change_done": Page(),
    "admin:jsi18n": Page(),
    "admin:app_list": Page(named=lambda _: ["distill"]),
}
# Of the admin's own helpers none shows anything without a further permission.
CLOSED = {"admin:autocomplete", "admin:view_on_site"}
MODEL_PAGES = ("changelist", "add", "history", "delete", "change")


@dataclass(frozen=True)
class Things:
    """One of each object that an address may name."""

    run: Run
    queue: Queue
    export: Export
    completion: Any
    training_run: TrainingRun


@pytest.fixture
def things(db: None) -> Things:
    create_roles()
    run = make_run(state=Run.State.DONE, is_populated=True)
    accepted = make_sample_draw(run, outcome="accepted").completion
    make_sample_draw(run)
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="server")
    fill_queues(dataset_id=run.dataset_id)
    export = export_dataset(dataset=run.dataset, policy="reviewed")
    training_run = make_training_run(export)
    training_run.evaluations.create(recipe=run.recipe, sample_limit=1)
    return Things(run, Queue.objects.get(), export, accepted, training_run)


@pytest.fixture
def clients(things: Things) -> dict[str, Client]:
    """A client for each person, logged in."""
    people = {NOBODY: make_user(name=NOBODY)}
    people |= {role: make_user(role, name=role) for role in ROLES}
    clients = {name: Client() for name in people}
    for name, user in people.items():
        clients[name].force_login(user)
    return clients


def each_name(resolver: URLResolver, spaces: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all addresses; one without a name is known by its pattern."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from each_name(entry, (*spaces, *filter(None, [entry.namespace])))
        else:
            assert isinstance(entry, URLPattern)
            yield ":".join((*spaces, entry.name or str(entry.pattern)))


def model_pages() -> set[str]:
    """The names of the admin's pages of each model, and of what leads to them."""
    names = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model in admin.site._registry
        for page in MODEL_PAGES
    }
    # The old address of an object, and the admin's own 404.
    return names | {
        "admin:<path:object_id>/",
        "admin:(?P<url>.*)$",
        "admin:auth_user_password_change",
    }


def test_no_address_is_missing_and_none_is_stale() -> None:
    # The endpoints of the API have a table of their own: tests/api/test_api_matrix.py.
    found = {name for name in each_name(get_resolver()) if not name.startswith("api:")}
    known = set(PAGES) | CLOSED
    assert found - known - model_pages() == set(), "add it to the table PAGES"
    assert known - found == set(), "the address is gone: remove it from the table"


def address(name: str, things: Things) -> str:
    return reverse(name, args=PAGES[name].named(things))


def ask(client: Client, method: str, url: str, **more: Any) -> Any:
    """The answer, read to its end: a file stays open otherwise."""
    response = getattr(client, method)(url, **more)
    if response.streaming:
        response.content_read = b"".join(response.streaming_content)
    return response


def test_anonymous_people_see_the_login_and_the_health_alone(things: Things) -> None:
    for name, page in PAGES.items():
        url = address(name, things)
        for method in ("get", "post"):
            response = ask(Client(), method, url)
            if page.is_public:
                assert response.status_code in (200, NO_METHOD, NO_REPORT), (name, method)
            else:
                assert response.status_code == TO_LOGIN, (name, method)
                assert "/login/?next=" in response.headers["Location"], (name, method)


@pytest.mark.parametrize("person", PEOPLE)
def test_each_person_sees_what_the_table_says(
    person: str, things: Things, clients: dict[str, Client]
) -> None:
    for name, page in PAGES.items():
        response = ask(clients[person], "get", address(name, things))
        allowed = page.get_by.get(person, page.get)
        wanted = allowed if person in page.see else _refusal(name)
        assert response.status_code == wanted, (name, person)


def _refusal(name: str) -> int:
    """Our pages say 403; the admin sends to its login, which says why."""
    return TO_LOGIN if name.startswith("admin:") else FORBIDDEN


@pytest.mark.parametrize("person", PEOPLE)
def test_each_person_posts_what_the_table_says(
    person: str, things: Things, clients: dict[str, Client]
) -> None:
    user = clients[person].session["_auth_user_id"]
    for name, page in PAGES.items():
        response = clients[person].post(address(name, things))
        if person in page.post:
            assert response.status_code == page.posted, (name, person)
        elif person in page.see:
            assert response.status_code in (NO_METHOD, 200), (name, person)
            assert name.startswith("admin:") or response.status_code == NO_METHOD, (name, person)
        else:
            assert response.status_code in (NO_METHOD, _refusal(name)), (name, person)
        if "_auth_user_id" not in clients[person].session:
            clients[person].force_login(_user(user))


def _user(pk: str) -> Any:
    from django.contrib.auth.models import User

    return User.objects.get(pk=pk)


def test_whatever_takes_a_post_needs_the_token_of_its_form(things: Things) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(is_superuser=True))
    for name, page in PAGES.items():
        if page.post and page.needs_token:
            response = client.post(address(name, things))
            assert response.status_code == FORBIDDEN, name
            assert "CSRF" in response.text or "form" in response.text, name


def test_a_get_writes_nothing(things: Things, clients: dict[str, Client]) -> None:
    """Not even for those who may: a link that somebody is made to follow must be harmless."""
    for name in PAGES:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask(clients["admin"], "get", address(name, things))
        written = [
            query["sql"]
            for query in queries
            if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
            and "django_session" not in query["sql"]
        ]
        assert written == [], name


def test_an_expired_login_sends_htmx_to_the_login_page(things: Things) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/runs/7/"}
    for name, page in PAGES.items():
        # No page of the admin uses htmx.
        if page.is_public or name.startswith("admin:"):
            continue
        for method in ("get", "post"):
            response = getattr(Client(), method)(address(name, things), headers=headers)
            assert response.status_code == 200, (name, method)
            assert response.headers["HX-Redirect"] == "/login/?next=/runs/7/", (name, method)
            assert response.content == b"", (name, method)


@pytest.mark.parametrize("person", [NOBODY, "reviewer"])
def test_no_page_of_the_admin_opens_for_those_outside(
    person: str, things: Things, clients: dict[str, Client]
) -> None:
    for name in (*CLOSED, *model_pages()):
        if name.endswith(("_changelist", "_add")) or name in CLOSED:
            args = [1, 1] if name == "admin:view_on_site" else []
            response = clients[person].get(reverse(name, args=args))
            assert response.status_code == TO_LOGIN, name


def test_a_lead_looks_at_models_and_changes_none(
    things: Things, clients: dict[str, Client]
) -> None:
    client = clients["lead"]
    for model in admin.site._registry:
        options = model._meta
        base = f"admin:{options.app_label}_{options.model_name}"
        own = options.app_label in ("distill", "review", "training")
        listed = client.get(reverse(f"{base}_changelist"))
        assert listed.status_code == (200 if own else FORBIDDEN), base
        assert client.post(reverse(f"{base}_add")).status_code == FORBIDDEN, base
        removal = {"action": "delete_selected", "_selected_action": 1}
        client.post(reverse(f"{base}_changelist"), removal)
    assert Run.objects.filter(pk=things.run.pk).exists()
