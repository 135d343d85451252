"""Runs, recipes, exports and completions through the API."""

from __future__ import annotations

import hashlib

import pytest
from django.utils import timezone

from distill.logic.pulse import Pulse
from distill.logic.reading import LaneReading, Reading, bucket_of
from distill.logic.reasons import Reason
from distill.models import Export, Recipe, Run, SampleDraw
from tests.builders import (
    make_dataset,
    make_judgement,
    make_label,
    make_reading,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
    make_shift,
    make_user,
)

pytestmark = pytest.mark.django_db

YAML = "name: mine\nteacher:\n  name: offline:extractive\n"


def test_a_run_is_started_stopped_and_resumed(api, enqueued):
    client, dataset = api("operator"), make_dataset()
    make_recipe(name="mine")
    newest = make_recipe(name="mine", teacher={"name": "offline:extractive", "draws": 2})
    body = {"dataset": dataset.pk, "recipe": "mine", "sample_limit": 5, "kind": "generate"}
    started = client.post("/api/v1/runs/", body, format="json")
    assert started.status_code == 201, started.json()
    run = Run.objects.get()
    assert started.json()["state"] == "queued"
    assert (run.recipe, run.sample_limit, run.kind) == (newest, 5, "generate")
    assert [arguments for _, *arguments in enqueued] == [[run.pk]]
    again = client.post("/api/v1/runs/", body, format="json")
    assert (again.status_code, "exactly this already" in again.json()["detail"]) == (409, True)
    url = f"/api/v1/runs/{run.pk}/"
    assert client.post(f"{url}resume/").status_code == 409
    assert client.post(f"{url}stop/").json()["state"] == "stopped"
    twice = client.post(f"{url}stop/")
    assert (twice.status_code, twice.json()["detail"]) == (
        409,
        f"Nothing was changed: run {run.pk} is stopped already.",
    )
    assert client.post(f"{url}resume/").json()["state"] == "queued"
    assert len(enqueued) == 2


def test_a_recipe_may_come_with_the_run(api, enqueued):
    client, dataset = api("operator"), make_dataset()
    built_in = client.post("/api/v1/runs/", {"dataset": dataset.pk}, format="json").json()
    assert (built_in["recipe_name"], built_in["kind"]) == ("default", "pipeline")
    body = {"dataset": dataset.pk, "recipe_yaml": YAML, "rejected_by": "people"}
    started = client.post("/api/v1/runs/", body | {"kind": "regenerate"}, format="json")
    assert started.status_code == 201, started.json()
    assert started.json()["recipe_name"] == "mine"
    assert started.json()["rejected_by"] == "people"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "dataset"),
        ({"dataset": 999_999, "recipe": "mine"}, "dataset"),
        ({"recipe": "nobody"}, "recipe"),
        ({"recipe": "mine", "recipe_version": 7}, "recipe"),
        ({"recipe": "mine", "recipe_yaml": YAML}, "detail"),
        ({"recipe_yaml": "teacher: 3"}, "recipe_yaml"),
        ({"recipe_yaml": YAML, "recipe_version": 1}, "recipe_version"),
        ({"recipe_yaml": "name: mine\nteacher:\n  name: nowhere:x\n"}, "detail"),
        ({"recipe": "mine", "kind": "evaluate"}, "kind"),
        ({"recipe": "mine", "budget_usd": -1}, "budget_usd"),
        ({"recipe": "mine", "sample_limit": 10**30}, "sample_limit"),
        ({"recipe": "mine", "reasons": ["nothing"]}, "reasons"),
        ({"recipe": "costly"}, "detail"),
    ],
)
def test_a_run_that_cannot_be_is_not_made(api, enqueued, body, wrong):
    make_recipe(name="mine")
    make_recipe(name="costly", teacher={"name": "openai:gpt-4o"})
    given = {"dataset": make_dataset().pk} | body if body else {}
    answer = api("operator").post("/api/v1/runs/", given, format="json")
    assert answer.status_code == 400, answer.json()
    assert wrong in answer.json(), answer.json()
    assert (Run.objects.count(), Recipe.objects.count(), enqueued) == (0, 2, [])


def test_a_run_tells_how_far_it_is(api):
    run = make_run(state=Run.State.RUNNING, is_populated=True, budget_nano=1_500_000_000)
    make_sample_draw(run, outcome="accepted")
    make_sample_draw(run, state=SampleDraw.State.REJECTED, reasons=[Reason.CITATION])
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="server")
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    told = api("lead").get(f"/api/v1/runs/{run.pk}/").json()
    assert told["run"]["budget_usd"] == "1.500000000"
    assert told["progress"]["by_state"] == {"passed": 1, "rejected": 1, "failed": 1, "pending": 1}
    balance = told["waterfall"]["balance"]
    assert balance["total"] == 4
    assert (balance["eligible"], balance["pending"], balance["failed"]) == (1, 1, {"server": 1})
    assert told["waterfall"]["reasons"] == {"citation": 1}
    assert told["failures"][0]["kind"] == "server"


def test_a_run_tells_how_it_goes(api):
    run = make_run(state=Run.State.RUNNING, is_populated=True, started_at=timezone.now())
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    lanes = {"offline:extractive": LaneReading(in_flight=3, limit=40.5, state="half_open")}
    shift = make_shift(run, pulse=Pulse(Reading(slots=64, in_flight=3, lanes=lanes), waiting=2))
    make_reading(
        shift,
        timezone.now(),
        replies=15,
        finished=5,
        failures={"rate_limited": 5},
        latencies={bucket_of(500): 15},
    )
    told = api("lead").get(f"/api/v1/runs/{run.pk}/").json()
    live = told["live"]
    assert (live["waiting"], live["workers"][0]["slots"], live["workers"][0]["share"]) == (2, 64, 1)
    assert live["throttles"] == [
        {"teacher": "offline:extractive", "in_flight": 3, "limit": 40.5, "circuit": "half_open"}
    ]
    minute = live["last_minute"]
    assert (minute["occupancy"], minute["samples_per_s"], minute["rate_limited"]) == (0.75, 1, 0.25)
    assert minute["teachers"][0]["p95_ms"] == pytest.approx(514, rel=0.05)
    assert "offline:extractive refuses" in told["progress"]["time_left_basis"]
    failures = told["course"]["failures"]
    assert failures == [{"kind": "rate_limited", "count": 5, "share": 0.25, "is_retryable": True}]


def test_runs_are_listed_by_dataset_and_state(api):
    first, second = make_run(), make_run(state=Run.State.DONE)
    client = api("lead")

    def found(query):
        rows = client.get(f"/api/v1/runs/?{query}").json()["results"]
        return [row["run"]["id"] for row in rows]

    assert found("") == [second.pk, first.pk]
    assert found(f"dataset={first.dataset_id}") == [first.pk]
    assert found("state=done") == [second.pk]
    assert client.get("/api/v1/runs/?state=asleep").status_code == 400


def test_recipes(api):
    client = api("lead")
    made = client.post("/api/v1/recipes/", {"yaml": YAML}, format="json")
    assert (made.status_code, made.json()["version"]) == (201, 1)
    again = client.post("/api/v1/recipes/", {"yaml": YAML}, format="json")
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    make_recipe(name="another")
    listed = client.get("/api/v1/recipes/?name=mine").json()["results"]
    assert [(row["name"], row["version"]) for row in listed] == [("mine", 1)]
    url = f"/api/v1/recipes/{made.json()['id']}/"
    assert client.get(url).json()["document"]["teacher"]["name"] == "offline:extractive"
    text = client.get(f"{url}yaml/")
    assert text.headers["Content-Type"] == "application/yaml; charset=utf-8"
    back = client.post("/api/v1/recipes/", {"yaml": text.text}, format="json")
    assert back.json()["id"] == made.json()["id"]
    wrong = client.post("/api/v1/recipes/", {"yaml": "naem: x"}, format="json")
    assert (wrong.status_code, "naem" in str(wrong.json()["yaml"])) == (400, True)


def test_an_export_is_made_and_its_files_come_down_whole(api):
    run = make_run()
    make_sample_draw(run, outcome="accepted")
    client = api("lead")
    body = {"dataset": run.dataset_id}
    made = client.post("/api/v1/exports/", body, format="json")
    assert made.status_code == 201, made.json()
    assert client.post("/api/v1/exports/", body, format="json").status_code == 200
    url = f"/api/v1/exports/{made.json()['id']}/"
    told = client.get(url).json()
    assert told["counts"]["total"] == 1
    for file in told["files"]:
        content = b"".join(client.get(f"{url}files/{file['name']}"))
        assert hashlib.sha256(content).hexdigest() == file["sha256"], file["name"]
    for name in ("nothing", "../../../secret_key", "..%2f..%2fx", "data/"):
        assert client.get(f"{url}files/{name}").status_code == 404, name
    assert len(client.get(f"/api/v1/exports/?dataset={run.dataset_id}").json()["results"]) == 1


def test_an_export_of_nothing_says_why_and_a_large_one_waits(api, enqueued, monkeypatch):
    run, client = make_run(), api("operator")
    body = {"dataset": run.dataset_id, "policy": "gate"}
    empty = client.post("/api/v1/exports/", body, format="json")
    assert (empty.status_code, bool(empty.json()["detail"])) == (400, True)
    monkeypatch.setattr("distill.tasks.EXPORTED_AT_ONCE", 0)
    make_sample_draw(run)
    large = client.post("/api/v1/exports/", body, format="json")
    assert (large.status_code, large.content, len(enqueued)) == (202, b"", 1)
    assert not Export.objects.exists()


def test_completions_are_found_and_told_with_everything(api):
    run = make_run()
    draw = make_sample_draw(run, state=SampleDraw.State.REJECTED, reasons=[Reason.CITATION])
    first = draw.completion
    assert first is not None
    make_judgement(first)
    make_label(first, outcome="rejected", reviewer=make_user("reviewer", name="ada"))
    make_sample_draw(run)
    client = api("lead")

    def found(query):
        answer = client.get(f"/api/v1/completions/?{query}")
        assert answer.status_code == 200, answer.json()
        return [row["id"] for row in answer.json()["results"]]

    dataset = run.dataset_id
    assert len(found(f"dataset={dataset}")) == 2
    for query in ("state=rejected", "reason=citation", "label=rejected"):
        assert found(query) == [first.pk], query
    assert found(f"domain=soil+science&text=MOISTURE&dataset={dataset}&run={run.pk}")
    for query in ("dataset=999999", "text=moisture", "state=x", "colour=red", "after=-1"):
        assert client.get(f"/api/v1/completions/?{query}").status_code == 400, query
    told = client.get(f"/api/v1/completions/{first.pk}/").json()
    assert told["sample"]["text"] == first.sample.text
    assert told["answer"] == first.fields
    assert told["label"]["outcome"] == "rejected"
    assert told["judgements"][0]["scores"]["plausibility"] == 0.9
    assert told["verdicts"][0]["reasons"] == ["citation"]
    assert told["decisions"][0]["reviewer"] == "ada"
    assert [attempt["id"] for attempt in told["attempts"]] == [first.pk]


def test_all_pages_of_completions_are_reached(api):
    dataset = make_dataset()
    sample = make_sample(dataset)
    from distill.models import Completion, CompletionState

    made = Completion.objects.bulk_create(
        Completion(sample=sample, key=f"{n:032x}", draw=n, teacher="t", template_name="pair")
        for n in range(120)
    )
    CompletionState.objects.bulk_create(
        CompletionState(completion=one, dataset=dataset) for one in made
    )
    client, url, seen = api("lead"), f"/api/v1/completions/?dataset={dataset.pk}", []
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == sorted((one.pk for one in made), reverse=True)
