"""Every endpoint × method × who asks. An endpoint that the table lacks fails.

A new endpoint: add its row to `ENDPOINTS`: for each method who may, and the status they get when
they send nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from distill.http import RoleName
from distill.models import Export, Run, SampleDraw
from distill.services.export import export_dataset
from nexa_site.api.urls import urlpatterns
from nexa_site.models import ApiToken
from nexa_site.services.create_token import create_token
from tests.api.clients import client_of
from tests.builders import make_run, make_sample_draw, make_user
from training.models import Evaluation, TrainingRun

NOBODY = "without a role"
ROLES: tuple[RoleName, ...] = ("reviewer", "lead", "operator", "admin")
PEOPLE = (NOBODY, *ROLES)
ANYBODY = ROLES
LEADS = ("lead", "operator", "admin")
OPERATORS = ("operator", "admin")
REVIEWERS = ("reviewer", "lead", "admin")
METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(frozen=True)
class Things:
    """One of each object that an address may name."""

    run: Run
    export: Export
    completion: Any
    training_run: TrainingRun
    evaluation: Evaluation


Named = Callable[[Things], list[object]]


@dataclass(frozen=True)
class Endpoint:
    """Who may by which method, and what an empty request of theirs gets."""

    see: tuple[str, ...] = LEADS
    post: tuple[str, ...] = ()
    posted: int = 400
    delete: tuple[str, ...] = ()
    deleted: int = 204
    named: Named = lambda _: []
    has_get: bool = True
    may: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        may = {"get": self.see if self.has_get else (), "post": self.post, "delete": self.delete}
        object.__setattr__(self, "may", {method: who for method, who in may.items() if who})

    def status(self, method: str) -> int:
        return {"get": 200, "post": self.posted, "delete": self.deleted}[method]


def _action(named: Named, posted: int, people: tuple[str, ...] = OPERATORS) -> Endpoint:
    return Endpoint(post=people, posted=posted, named=named, has_get=False)


def _dataset(things: Things) -> list[object]:
    return [things.run.dataset_id]


def _run(things: Things) -> list[object]:
    return [things.run.pk]


def _training(things: Things) -> list[object]:
    return [things.training_run.pk]


def _evaluation(things: Things) -> list[object]:
    return [things.evaluation.pk]


def _decision(things: Things) -> list[object]:
    return [things.completion.decisions.get().pk]


ENDPOINTS: Mapping[str, Endpoint] = {
    "schema": Endpoint(see=ANYBODY),
    # datasets
    "datasets": Endpoint(post=OPERATORS),
    # A run works on it.
    "dataset": Endpoint(delete=OPERATORS, deleted=409, named=_dataset),
    "source_files": _action(_dataset, 400),
    "source_file": Endpoint(
        named=lambda things: [things.run.dataset_id, things.run.dataset.source_files.last().pk]
    ),
    "samples": Endpoint(named=_dataset),
    # the gate; saved as it is, it is the version that is there
    "gate": Endpoint(named=_dataset),
    "refresh_gate": _action(_dataset, 200, LEADS),
    "save_gate": _action(_dataset, 200),
    "rules": Endpoint(),
    # recipes
    "recipes": Endpoint(post=LEADS),
    "recipe": Endpoint(named=lambda things: [things.run.recipe_id]),
    "recipe_yaml": Endpoint(named=lambda things: [things.run.recipe_id]),
    # runs; it runs, so that only a stop changes it, once
    "runs": Endpoint(post=OPERATORS),
    "run": Endpoint(named=_run),
    "stop_run": _action(_run, 200),
    "resume_run": _action(_run, 409),
    "run_money": Endpoint(named=_run),
    "raise_budget": _action(_run, 400),
    "settle_lost": _action(_run, 400),
    "prices": Endpoint(post=OPERATORS),
    # completions and decisions
    "completions": Endpoint(),
    "completion": Endpoint(named=lambda things: [things.completion.pk]),
    "decisions": Endpoint(see=ANYBODY, post=REVIEWERS),
    # Of others: a reviewer sees none of it.
    "decision": Endpoint(named=_decision),
    "undo_decision": _action(_decision, 400, ("lead", "admin")),
    # exports
    "exports": Endpoint(post=LEADS),
    "export": Endpoint(named=lambda things: [things.export.pk]),
    "export_file": Endpoint(named=lambda things: [things.export.pk, "train.jsonl"]),
    # training
    "training_runs": Endpoint(post=OPERATORS),
    "training_run": Endpoint(named=_training),
    "training_spec": Endpoint(named=_training),
    "metrics": Endpoint(named=_training),
    "stop_training": _action(_training, 200),
    "resume_training": _action(_training, 409),
    "evaluations": Endpoint(post=OPERATORS, named=_training),
    "evaluation": Endpoint(named=_evaluation),
    "stop_evaluation": _action(_evaluation, 200),
}
# To a reviewer somebody else's decision does not exist.
HIDDEN = {("reviewer", "decision", "get"), ("reviewer", "undo_decision", "post")}


@pytest.fixture
def things(db: None) -> Things:
    run = make_run(state=Run.State.RUNNING, is_populated=True)
    accepted = make_sample_draw(run, outcome="accepted").completion
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="server")
    export = export_dataset(dataset=run.dataset, policy="reviewed")
    training_run = TrainingRun.objects.create(
        name="baseline", export=export, source={}, spec={}, state=TrainingRun.State.RUNNING
    )
    evaluation = Evaluation.objects.create(
        training_run=training_run, recipe=run.recipe, sample_limit=5
    )
    return Things(run, export, accepted, training_run, evaluation)


@pytest.fixture
def clients(things: Things, enqueued: object) -> dict[str, APIClient]:
    people = {NOBODY: make_user(name=NOBODY)}
    people |= {role: make_user(role, name=role) for role in ROLES}
    return {name: client_of(user) for name, user in people.items()}


def address(name: str, things: Things) -> str:
    return reverse(f"api:{name}", args=ENDPOINTS[name].named(things))


def ask(client: Client, method: str, url: str) -> Any:
    """The answer, read to its end: a file stays open otherwise."""
    response = getattr(client, method)(url)
    if response.streaming:
        response.content_read = b"".join(response.streaming_content)
    return response


def test_no_endpoint_is_missing_and_none_is_stale() -> None:
    assert {pattern.name for pattern in urlpatterns} - {"unknown"} == set(ENDPOINTS)


@pytest.mark.parametrize("person", PEOPLE)
def test_each_person_may_do_what_the_table_says(
    person: str, things: Things, clients: dict[str, APIClient]
) -> None:
    for name, endpoint in ENDPOINTS.items():
        for method in endpoint.may:
            response = ask(clients[person], method, address(name, things))
            allowed = person in endpoint.may[method]
            wanted = endpoint.status(method) if allowed else 403
            if (person, name, method) in HIDDEN:
                wanted = 404
            assert response.status_code == wanted, (person, name, method, response.content)
            if response.status_code == 200 and method == "post":
                _go_on_as_before()


def _go_on_as_before() -> None:
    """Nobody's later request finds the state that an earlier one has changed."""
    Run.objects.update(state=Run.State.RUNNING)
    TrainingRun.objects.update(state=TrainingRun.State.RUNNING)
    Evaluation.objects.update(state=Evaluation.State.ANSWERING)


def test_no_other_method_is_taken(things: Things, clients: dict[str, APIClient]) -> None:
    for name, endpoint in ENDPOINTS.items():
        for method in METHODS - endpoint.may.keys():
            response = ask(clients["admin"], method, address(name, things))
            assert response.status_code == 405, (name, method)


def _expired() -> str:
    token, text = create_token(user=make_user("admin"), name="old", days=1)
    ApiToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    return f"Bearer {text}"


def _revoked() -> str:
    token, text = create_token(user=make_user("admin"), name="gone", days=1)
    token.delete()
    return f"Bearer {text}"


def _of_somebody_gone() -> str:
    user = make_user("admin")
    _, text = create_token(user=user, name="gone", days=1)
    user.is_active = False
    user.save()
    return f"Bearer {text}"


def _with_another_end() -> str:
    _, text = create_token(user=make_user("admin"), name="guessed", days=1)
    return f"Bearer {text[:-1]}{'0' if text[-1] != '0' else '1'}"


STRANGERS = {
    "nothing": lambda: "",
    "expired": _expired,
    "revoked": _revoked,
    "inactive": _of_somebody_gone,
    "guessed": _with_another_end,
    "no token": lambda: "Bearer",
    "two words": lambda: "Bearer nexa_1 nexa_2",
    "not ASCII": lambda: "Bearer \xff\xfe" + "a" * 40,
    "NUL": lambda: "Bearer nexa_\x00" + "a" * 40,
    "another scheme": lambda: "Basic YWRtaW46YWRtaW4=",
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_stranger_gets_in(stranger: str, things: Things) -> None:
    client = APIClient()
    for name, endpoint in ENDPOINTS.items():
        for method in endpoint.may:
            client.credentials(HTTP_AUTHORIZATION=STRANGERS[stranger]())
            response = ask(client, method, address(name, things))
            assert response.status_code == 401, (name, method)
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert b"detail" in response.content
        if stranger not in ("nothing", "expired"):
            break  # the guard is one for all


def test_a_session_reads_and_needs_the_forms_token_to_write(things: Things, enqueued) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("operator"))
    assert client.get("/api/v1/runs/").status_code == 200
    refused = client.post(address("stop_run", things))
    assert (refused.status_code, "CSRF" in refused.json()["detail"]) == (403, True)


def test_a_get_writes_nothing_but_when_a_token_was_used(
    things: Things, clients: dict[str, APIClient]
) -> None:
    for name, endpoint in ENDPOINTS.items():
        if "get" in endpoint.may:
            with CaptureQueriesContext(connection) as queries:
                ask(clients["admin"], "get", address(name, things))
            written = [
                query["sql"]
                for query in queries
                if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
                and "nexa_site_apitoken" not in query["sql"]
            ]
            assert written == [], name


def test_whatever_else_is_asked_is_a_404_in_json(clients: dict[str, APIClient]) -> None:
    for url in ("/api/v1/", "/api/v1/nothing/", "/api/v1/runs", "/api/v1/runs/0x1/"):
        answer = clients["lead"].get(url)
        assert (answer.status_code, "slash" in answer.json()["detail"]) == (404, True), url
        assert Client().get(url).status_code == 401
