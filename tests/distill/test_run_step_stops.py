"""A run that asks nobody still beats, and stops between its batches."""

from __future__ import annotations

import pytest

from distill.models import Run, SampleDraw
from distill.services import step
from distill.services.runs import create_run, request_stop
from tests.builders import make_completion, make_dataset, make_recipe

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_filter_run_stops_between_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "EXAMINED_ROWS", 5)
    monkeypatch.setattr(step, "PULSE_SECONDS", 0)
    dataset = make_dataset()
    for _ in range(20):
        make_completion(dataset=dataset, state="new")
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.FILTER)

    def stop(_pulse: dict[str, object]) -> None:
        if SampleDraw.objects.filter(run=run, state="pending").count() == 10:
            request_stop(run_id=run.id)

    assert step.run_step(run.id, on_pulse=stop) == Run.State.STOPPED
    assert SampleDraw.objects.filter(run=run, state="pending").count() == 5
