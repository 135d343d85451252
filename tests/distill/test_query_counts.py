"""What a page asks of the database does not grow with what there is."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from distill.logic.errors import FailureKind
from distill.logic.reasons import Reason
from distill.models import (
    Completion,
    Dataset,
    Export,
    ExportedCompletion,
    Label,
    RefusedRow,
    Run,
    RunEvent,
    SampleDraw,
    SourceFile,
)
from distill.services.recipes import save_recipe
from nexa_site.services.bootstrap import create_roles
from review.models import Queue
from review.services.fill import fill_queues
from review.services.take import take_cards
from tests.builders import (
    let_read,
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
    make_sample_draw,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db

MANIFEST = {
    "counts": {"total": 1, "train": 1, "validation": 0, "test": 0},
    "files": [],
    "teachers": ["offline:extractive"],
    "judges": [],
    "recipes": [],
    "sources": [],
    "waterfall": {"steps": [], "reasons": [], "attempts": []},
}
STATE = SampleDraw.State


def _grow(dataset: Dataset, run: Run, first: Completion, *, by: int) -> None:
    """More of everything: in the dataset, its run and its first completion's history, and beside."""
    for number in range(by):
        make_sample_draw(run, state=STATE.PASSED)
        make_sample_draw(run, state=STATE.PASSED, outcome=Label.Outcome.ACCEPTED)
        make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.CITATION])
        make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.TIMEOUT)
        make_sample_draw(run, state=STATE.PENDING)
        RunEvent.objects.create(run=run, message=f"line {number}")
        again = make_completion(first.sample, parent=first, attempt=2 + number, recipe=run.recipe)
        make_judgement(again)
        make_verdict(again, run, reasons=[Reason.CITATION])
        _grow_beside(number)
    _grow_files(dataset, by)
    fill_queues(dataset_id=dataset.pk)


def _grow_beside(number: int) -> None:
    """One more dataset with its file, recipe, run, queue and export."""
    dataset = make_dataset()
    run = make_run(dataset, recipe=make_recipe(name=f"recipe-{dataset.pk}"))
    make_sample_draw(run, state=STATE.PASSED)
    fill_queues(dataset_id=dataset.pk)
    completion = make_completion(dataset=dataset)
    make_label(make_completion(dataset=dataset))
    export = Export.objects.create(
        dataset=dataset, version=1, policy="gate", folder="none", manifest=MANIFEST
    )
    ExportedCompletion.objects.create(export=export, completion=completion)
    run.state = Run.State.FAILED if number % 2 else Run.State.RUNNING
    run.finished_at = timezone.now()
    run.save()


def _grow_files(dataset: Dataset, by: int) -> None:
    for number in range(by):
        source = SourceFile.objects.create(
            dataset=dataset, name=f"{number}.csv", sha256="0" * 64, size_bytes=1, mapping={}
        )
        RefusedRow.objects.create(source_file=source, line=1, message="is empty")


@pytest.fixture
def ask(client):
    """How many queries each page takes, by its name."""
    create_roles()
    user = make_user("lead", "operator", is_superuser=True)
    dataset = make_dataset()
    run = make_run(dataset, state=Run.State.RUNNING, is_populated=True)
    first = make_completion(dataset=dataset, state=STATE.REJECTED, recipe=run.recipe)
    make_verdict(first, run, reasons=[Reason.TOO_SHORT])
    _grow(dataset, run, first, by=3)
    queue = Queue.objects.get(dataset=dataset)
    let_read(queue, user)
    take_cards(queue_id=queue.pk, reviewer=user, now=timezone.now())
    export = Export.objects.latest("pk")
    client.force_login(user)
    pages = {
        "home": reverse("home"),
        "datasets": reverse("distill:datasets"),
        "dataset": reverse("distill:dataset", args=[dataset.pk]),
        "runs": reverse("distill:runs"),
        "run": reverse("distill:run", args=[run.pk]),
        "start_run": reverse("distill:start_run"),
        "completions": reverse("distill:completions"),
        "completions of a run": f"{reverse('distill:completions')}?run={run.pk}&state=passed",
        "pending of a run": f"{reverse('distill:completions')}?run={run.pk}&state=pending",
        "completion": reverse("distill:completion", args=[first.pk]),
        "exports": reverse("distill:exports"),
        "export": reverse("distill:export", args=[export.pk]),
        "recipes": reverse("distill:recipes"),
        "recipe": reverse("distill:recipe", args=[run.recipe.name, run.recipe.version]),
        "queues": reverse("review:queues"),
        "queue": reverse("review:queue", args=[queue.pk]),
        "admin": reverse("admin:index"),
        "admin's datasets": reverse("admin:distill_dataset_changelist"),
        "admin's completions": reverse("admin:distill_completion_changelist"),
        "admin's exports": reverse("admin:distill_exportedcompletion_changelist"),
        "admin's slots": reverse("admin:review_slot_changelist"),
    }

    def count(url: str) -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url).status_code == 200
        return len(asked)

    def ask_all() -> dict[str, int]:
        return {name: count(url) for name, url in pages.items()}

    def grow() -> None:
        # More versions of the recipe that is looked at, too.
        for number in range(27):
            teacher = run.recipe.content.teacher.model_copy(update={"max_tokens": 100 + number})
            save_recipe(content=run.recipe.content.model_copy(update={"teacher": teacher}))
        _grow(dataset, run, first, by=27)

    # What is asked once in a process (content types, roles) is asked now.
    ask_all()
    return ask_all, grow


def test_no_page_asks_more_when_there_is_more(ask):
    ask_all, grow = ask
    few = ask_all()
    grow()
    assert ask_all() == few


def test_no_page_asks_much(ask):
    ask_all, _grow = ask
    assert {name: count for name, count in ask_all().items() if count > 25} == {}
