"""`manage.py status`: the counts that scripts and the dashboard read."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from distill.models import Export, ExportedCompletion, SampleDraw
from nexa_site.queries import status_counts
from tests.builders import make_completion, make_dataset, make_run, make_sample_draw

pytestmark = pytest.mark.django_db

KEYS = [
    "samples",
    "completions",
    "passed",
    "rejected",
    "failed",
    "awaiting_review",
    "labelled",
    "exported",
]


def _fill():
    run = make_run()
    make_sample_draw(run)
    accepted = make_sample_draw(run, outcome="accepted").completion
    assert accepted is not None
    make_sample_draw(run, outcome="rejected")
    make_sample_draw(run, state=SampleDraw.State.REJECTED)
    make_sample_draw(run, state=SampleDraw.State.FAILED)
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    make_completion(dataset=run.dataset, state="passed", is_open=False)
    for version in (1, 2):
        export = Export.objects.create(
            dataset=run.dataset,
            version=version,
            policy="gate",
            content_sha256=str(version),
            folder="x",
            manifest={},
        )
        ExportedCompletion.objects.create(export=export, completion=accepted)


def test_an_empty_site_has_none_of_anything():
    assert status_counts() == dict.fromkeys(KEYS, 0)


def test_runs_at_work_say_how_they_go(capsys):
    make_run(state="running", is_populated=True)
    call_command("status")
    assert "running: 0 of 0 finished\n  spent $0.00" in capsys.readouterr().out


def test_every_count():
    _fill()
    assert status_counts() == {
        "samples": 7,
        "completions": 5,
        "passed": 4,
        "rejected": 1,
        "failed": 1,
        "awaiting_review": 1,
        "labelled": 2,
        "exported": 1,
    }


def test_json_is_one_object_on_one_line(capsys):
    call_command("status", "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert list(json.loads(out)) == KEYS


def test_the_table_names_every_count(capsys):
    make_dataset()
    call_command("status")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == KEYS
