"""What a list of the API asks of the database does not grow with what there is."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from distill.models import SampleDraw
from distill.services.export import export_dataset
from tests.builders import make_judgement, make_recipe, make_run, make_sample_draw
from training.models import Evaluation, Metric, TrainingRun

pytestmark = pytest.mark.django_db


def grow():
    """One more of everything, and beside it."""
    recipe = make_recipe(name=f"recipe-{TrainingRun.objects.count()}")
    run = make_run(recipe=recipe)
    completion = make_sample_draw(run, outcome="accepted").completion
    assert completion is not None
    make_judgement(completion)
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="server")
    export = export_dataset(dataset=run.dataset, policy="reviewed")
    training = TrainingRun.objects.create(name="x", export=export, source={}, spec={})
    for first in (training, TrainingRun.objects.order_by("pk")[0]):
        Evaluation.objects.create(training_run=first, recipe=recipe, sample_limit=5)
        step = first.metrics.count()
        Metric.objects.create(
            training_run=first, kind="train", step=step, values={"loss": 1}, at=first.created_at
        )
    return run, completion, training


def test_no_list_asks_for_each_of_its_rows(api):
    run, completion, training = grow()
    client = api("admin")
    urls = [
        *("datasets/", f"datasets/{run.dataset_id}/", f"datasets/{run.dataset_id}/samples/"),
        *("recipes/", "runs/", f"runs/{run.pk}/", "completions/", f"completions/{completion.pk}/"),
        *("decisions/", "exports/", "training-runs/", f"training-runs/{training.pk}/metrics/"),
        f"training-runs/{training.pk}/evaluations/",
    ]

    def count():
        counts = {}
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(f"/api/v1/{url}").status_code == 200, url
            counts[url] = len(queries)
        return counts

    count()  # the first use of a token is noted
    before = count()
    for _ in range(3):
        grow()
        make_sample_draw(run, outcome="accepted")
        make_judgement(completion)
    assert count() == before
    assert max(before.values()) <= 20, before
