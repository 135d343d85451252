"""The list of runs, and the page of one run: live while it goes on, still when it has ended."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.logic.errors import FailureKind
from distill.logic.pulse import Pulse, write_pulse
from distill.logic.reading import LaneReading, Reading, bucket_of
from distill.logic.reasons import Reason
from distill.models import Run, RunEvent, SampleDraw, Shift
from distill.queries.progress import live_progress
from distill.services.runs import request_stop
from tests.builders import (
    make_reading,
    make_recipe,
    make_run,
    make_sample_draw,
    make_shift,
    make_user,
)

pytestmark = pytest.mark.django_db

STATE = SampleDraw.State
TEACHER = "offline:extractive"
PARTS = ("run-live", "run-plots", "run-waterfall", "run-log")


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def running():
    run = make_run(
        state=Run.State.RUNNING,
        is_populated=True,
        started_at=timezone.now(),
    )
    reading = Reading(
        seconds=1.0, slots=64, in_flight=7, lanes={TEACHER: LaneReading(in_flight=7, limit=48.2)}
    )
    shift = make_shift(run, pulse=Pulse(reading, waiting=2), host="host-a", pid=77)
    make_reading(
        shift,
        timezone.now(),
        replies=20,
        finished=5,
        failures={"rate_limited": 5, "server": 1},
        latencies={bucket_of(340): 18, bucket_of(2_000): 2},
        output_tokens=500,
        input_tokens=4_000,
    )
    make_sample_draw(run, state=STATE.PENDING)
    make_sample_draw(run, state=STATE.PENDING)
    make_sample_draw(run, state=STATE.PASSED)
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.CITATION])
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.TIMEOUT)
    return run


def _htmx(client, url, target):
    return client.get(url, headers={"HX-Request": "true", "HX-Target": target})


def _url(run, name="run"):
    return reverse(f"distill:{name}", args=[run.pk])


def test_an_empty_list_says_what_to_do(operator):
    page = operator.get(reverse("distill:runs")).text
    assert "No run yet" in page
    assert reverse("distill:start_run") in page


def test_the_list_shows_state_progress_and_yield(operator, running):
    page = operator.get(reverse("distill:runs")).text
    assert "3 of 5" in page
    assert "33.3 %" in page, "one passed of three that are finished"
    assert "offline:extractive" in page
    assert "stand-in" in page
    assert 'hx-trigger="every 2s"' in page


def test_the_list_asks_no_more_queries_for_more_runs(
    operator, running, django_assert_max_num_queries
):
    for _number in range(5):
        make_sample_draw(make_run())
    operator.get(reverse("distill:runs"))
    with django_assert_max_num_queries(6):
        operator.get(reverse("distill:runs"))


def test_the_list_goes_on_by_keyset(operator):
    runs = [make_run(recipe=make_recipe()) for _number in range(22)]
    first = operator.get(reverse("distill:runs"))
    after = re.search(r"\?after=(\d+)", first.text).group(1)
    second = operator.get(reverse("distill:runs"), {"after": after}).text
    assert f">{runs[0].pk} · Whole pipeline" in second
    assert f">{runs[0].pk} · Whole pipeline" not in first.text


def test_a_finished_list_stops_polling(operator):
    make_run(state=Run.State.DONE)
    answer = _htmx(operator, reverse("distill:runs"), "run-list")
    assert answer.status_code == 286
    assert "<html" not in answer.text


def test_a_running_run_shows_how_it_is_doing(operator, running):
    page = operator.get(_url(running)).text
    for words in (
        "about 2 s left",
        "from the last 5 s: 1 samples/s, 2 left",
        "of 64 slots, 2 waiting",
        "75.0 %",
        "48 on the way on average",
        "100</div>",
        "output; 800 input",
        "19.2 %",
        "7 / 48",
        "host-a",
        "Closed",
        "Stop",
        "$0.00",
    ):
        assert words in page, words
    assert "every 2s" in page


def test_each_part_comes_alone(operator, running):
    for part in PARTS:
        answer = _htmx(operator, _url(running), part)
        assert answer.status_code == 200
        assert answer.text.strip().startswith(f'<div id="{part}"')
        assert "<html" not in answer.text


def test_an_ended_run_stops_polling(operator):
    run = make_run(state=Run.State.DONE, finished_at=timezone.now())
    for part in PARTS:
        answer = _htmx(operator, _url(run), part)
        assert answer.status_code == 286
        assert "hx-trigger" not in answer.text
    assert operator.get(_url(run)).status_code == 200


def test_the_log_is_not_swapped_while_nothing_new_is_in_it(operator, running):
    event = RunEvent.objects.create(run=running, message="Teacher <b>slow</b>")
    assert "Teacher &lt;b&gt;slow&lt;/b&gt;" in operator.get(_url(running)).text
    assert _htmx(operator, f"{_url(running)}?last_event={event.pk}", "run-log").status_code == 204
    RunEvent.objects.create(run=running, message="Faster now")
    answer = _htmx(operator, f"{_url(running)}?last_event={event.pk}", "run-log")
    assert "Faster now" in answer.text


def test_the_log_shows_the_last_two_hundred_lines(operator, running):
    RunEvent.objects.bulk_create(
        RunEvent(run=running, message=f"line {number}.") for number in range(205)
    )
    page = operator.get(_url(running)).text
    assert page.count("log-line") == 200
    assert "line 204." in page
    assert "line 4." not in page


@pytest.mark.parametrize(
    ("part", "most"),
    [(None, 25), ("run-live", 8), ("run-plots", 10), ("run-waterfall", 12), ("run-log", 5)],
)
def test_a_run_costs_few_queries(operator, running, part, most, django_assert_max_num_queries):
    headers = {"HX-Request": "true", "HX-Target": part} if part else {}
    operator.get(_url(running))
    with django_assert_max_num_queries(most):
        operator.get(_url(running), headers=headers)


def test_every_number_leads_to_its_completions(operator, running):
    page = operator.get(_url(running)).text.replace("&amp;", "&")
    base = f"{reverse('distill:completions')}?run={running.pk}"
    for filters in (
        "",
        "&state=passed",
        "&state=rejected&reason=citation",
        "&state=failed",
        "&state=pending",
        "&state=passed&label=none",
    ):
        assert f'href="{base}{filters}"' in page


def test_a_run_that_lost_everything_names_the_rule(operator):
    run = make_run(state=Run.State.DONE, is_populated=True)
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.TOO_SHORT])
    assert "Nothing passed: “Too short” rejected 1 of 1" in operator.get(_url(run)).text


def test_failures_stand_there_with_their_last_message(operator):
    run = make_run(state=Run.State.DONE, is_populated=True)
    draw = make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.SERVER)
    SampleDraw.objects.filter(pk=draw.pk).update(failure_message="<i>503</i> all day")
    page = operator.get(_url(run)).text
    assert "&lt;i&gt;503&lt;/i&gt; all day" in page
    assert "Try the failed again" in page


def test_a_run_without_a_price_is_unpriced_never_free(operator):
    run = make_run(recipe=make_recipe(teacher={"name": "openai:gpt-4o"}))
    assert "unpriced" in operator.get(_url(run)).text


def test_the_standin_is_named(operator, running):
    assert "offline stand-in" in operator.get(_url(running)).text
    real = make_run(
        recipe=make_recipe(teacher={"name": "openai:gpt-4o"}, judges=[{"teacher": "openai:o3"}])
    )
    assert "stand-in" not in operator.get(_url(real)).text


def test_a_run_that_no_worker_takes_is_said_to_wait(operator):
    run = make_run()
    assert "No worker has taken" not in operator.get(_url(run)).text
    Run.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert "No worker has taken" in operator.get(_url(run)).text


def test_what_would_fail_again_is_not_offered_again(operator):
    run = make_run(state=Run.State.DONE, is_populated=True)
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.REFUSED)
    assert "Try the failed again" not in operator.get(_url(run)).text


def test_a_silent_worker_is_said_to_be_silent(operator, running):
    assert not live_progress(running, now=timezone.now()).is_quiet
    later = timezone.now() + timedelta(minutes=1)
    assert live_progress(running, now=later).is_quiet


def test_a_dead_workers_words_count_no_more(operator, running):
    Shift.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=20))
    live = live_progress(running, now=timezone.now()).live
    assert (live.now.reading.in_flight, live.workers[0].is_heard) == (0, False)
    page = operator.get(_url(running)).text
    assert "others take over its part" in page
    assert "no worker is heard of just now" in page


def test_while_it_stops_nothing_is_promised(operator, running):
    assert request_stop(run_id=running.pk)
    page = operator.get(_url(running)).text
    assert "Nothing more is sent" in page
    assert "Time left" not in page


def test_what_was_possibly_billed_is_said_where_the_budget_is_used_up(operator):
    run = make_run(
        state=Run.State.STOPPED,
        is_populated=True,
        message="Out of budget: raise it and resume.",
        budget_nano=3 * 10**8,
        spent_nano=18 * 10**7,
        reserved_nano=12 * 10**7,
    )
    make_sample_draw(run, state=STATE.PENDING)
    page = operator.get(_url(run)).text
    assert "$0.1800 of it spent and at most $0.1200 possibly billed" in page


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        (Pulse(Reading(lanes={TEACHER: LaneReading(state="open")})), f"Waiting for {TEACHER}."),
        (Pulse(Reading(in_flight=3), is_short_of_budget=True), "The budget is used up."),
        (Pulse(busy=4), "Waiting for another run."),
    ],
)
def test_what_a_run_waits_for_is_said_first(operator, running, pulse, words):
    assert words not in operator.get(_url(running)).text
    Shift.objects.update(pulse=write_pulse(pulse))
    page = operator.get(_url(running)).text
    assert page.index(words) < page.index("Samples × draws finished")
    assert "cannot tell" in page


def test_a_run_that_its_budget_stopped_leads_to_its_budget(operator):
    run = make_run(
        state=Run.State.STOPPED, is_populated=True, budget_nano=2_000_000_000, message="Out of it."
    )
    make_sample_draw(run, state=STATE.PENDING)
    page = operator.get(_url(run)).text
    assert 'href="#budget-title"' in page
    assert 'id="budget-title"' in page


def test_an_ended_run_keeps_its_course_and_counts_its_pauses_apart(operator):
    now = timezone.now()
    run = make_run(state=Run.State.STOPPED, is_populated=True, finished_at=now, known_count=3)
    for begin in (now - timedelta(hours=3), now - timedelta(minutes=10)):
        end = begin + timedelta(minutes=2)
        shift = make_shift(run, began=begin, heartbeat_at=end, ended_at=end)
        for second in range(5, 121, 5):
            make_reading(shift, begin + timedelta(seconds=second), replies=10, finished=5)
    page = operator.get(_url(run)).text
    for words in ("4 min 00 s", "and 2 h 48 min of pauses", "A pause of 2 h 48 min at second 120"):
        assert words in page, words
    assert "Its whole course" in page
    assert "480 in all" in page
    assert "3 requests, bought by other runs" in page
    assert "<summary>Numbers</summary>" in page


@pytest.mark.parametrize("role", ["reviewer", None])
def test_others_may_not_see_runs(client, running, role):
    client.force_login(make_user(*([role] if role else [])))
    assert client.get(reverse("distill:runs")).status_code == 403
    assert client.get(_url(running)).status_code == 403


def test_a_lead_sees_but_neither_starts_nor_stops(client, running):
    client.force_login(make_user("lead"))
    page = client.get(_url(running)).text
    assert _url(running, "stop_run") not in page
    assert client.post(_url(running, "stop_run")).status_code == 403
    assert client.post(_url(running, "resume_run")).status_code == 403
    assert reverse("distill:start_run") not in client.get(reverse("distill:runs")).text


def test_an_unknown_run_is_a_404(operator):
    assert operator.get(reverse("distill:run", args=[10**30])).status_code == 404
