"""A run's whole course from the points that its workers wrote: merged, thinned, without pauses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from distill.logic.reading import bucket_of
from distill.models import Run
from distill.queries.run_plots import MAX_POINTS, read_history, read_work
from distill.queries.telemetry import read_live
from distill.templatetags.nexa_charts import plot_spans
from distill.views.run_plots import draw_plots
from tests.builders import make_reading, make_run, make_shift, make_user

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)

_MANY = """
INSERT INTO distill_runreading (run_id, shift_id, at, reading)
SELECT %s, %s, %s - number * interval '5 s', jsonb_build_object('seconds', 5, 'slots', 8,
    'slot_seconds', 40, 'busy_seconds', 20, 'in_flight', 4, 'finished', 1, 'lanes',
    jsonb_build_object('a:b', jsonb_build_object('sent', 3, 'replies', 2, 'failures',
    jsonb_build_object('rate_limited', 1), 'input_tokens', 5, 'output_tokens', 7, 'limit', 6,
    'in_flight', 4, 'state', 'closed', 'latencies', jsonb_build_object('40', 2))))
FROM generate_series(0, %s) AS number
"""


def _work(run: Run, *, begin: Any, minutes: float, **lane: Any) -> None:
    """A worker that was there for so long, and wrote a point each five seconds."""
    end = begin + timedelta(minutes=minutes)
    shift = make_shift(run, began=begin, heartbeat_at=end, ended_at=end)
    for second in range(5, int(minutes * 60) + 1, 5):
        make_reading(shift, begin + timedelta(seconds=second), **lane)


def test_two_workers_at_once_add_up_and_their_time_counts_once() -> None:
    run, begin = make_run(), NOW - timedelta(minutes=10)
    for _worker in range(2):
        _work(run, begin=begin, minutes=2, replies=10, finished=5, limit=20, failures={"server": 2})
    history = read_history(run)
    assert history.work.seconds == 120
    assert (history.num_readings, len(history.parts)) == (48, 12)
    assert {part.stretch.samples_per_s for part in history.parts} == {2.0}
    assert {part.stretch.concurrency for part in history.parts} == {96.0}
    (parts,) = history.lanes.values()
    assert {(part.limit, part.replies_per_s) for part in parts} == {(40.0, 4.0)}
    total = history.total
    assert (total.seconds, total.finished, total.replies) == (120, 240, 480)
    assert (total.occupancy, total.slots) == (0.75, 128)
    assert [(one.kind, one.count, one.share) for one in total.failures] == [
        ("server", 96, 96 / 576)
    ]


def test_a_point_of_no_time_counts_what_it_holds() -> None:
    run, begin = make_run(), NOW - timedelta(minutes=10)
    shift = make_shift(run, began=begin, heartbeat_at=NOW, ended_at=NOW)
    make_reading(shift, begin + timedelta(seconds=5), seconds=0.0, replies=3, finished=2)
    total = read_history(run).total
    assert (total.seconds, total.finished, total.replies) == (0, 2, 3)


def test_latencies_are_those_of_all_workers() -> None:
    run, begin = make_run(), NOW - timedelta(minutes=10)
    _work(run, begin=begin, minutes=1, latencies={bucket_of(100): 1})
    _work(run, begin=begin, minutes=1, latencies={bucket_of(9_000): 1})
    (lane,) = read_history(run).total.lanes
    assert 90 < lane.p50_ms < 110
    assert 8_100 < lane.p95_ms < 9_900


def test_steps_that_follow_one_another_are_no_pause_and_pauses_are_cut_out() -> None:
    run, begin = make_run(), NOW - timedelta(hours=5)
    _work(run, begin=begin, minutes=2, replies=10)
    _work(run, begin=begin + timedelta(minutes=2, seconds=5), minutes=2, replies=10)
    _work(run, begin=begin + timedelta(hours=4), minutes=1, replies=10, state="open")
    work = read_work(run)
    assert work.seconds == 4 * 60 + 5 + 60
    assert work.pauses == [(245.0, 4 * 3600 - 245)]
    assert work.paused_seconds == 4 * 3600 - 245
    history = read_history(run)
    assert [part.at for part in history.parts][-1] == 305
    (span,) = history.open_spans
    assert (span.teacher, span.begin, span.end) == ("offline:extractive", 245, 305)


def test_limits_of_workers_one_after_the_other_do_not_add_up() -> None:
    run, begin = make_run(), NOW - timedelta(hours=5)
    for number in range(3):
        _work(run, begin=begin + timedelta(minutes=17 * number), minutes=17, limit=20)
    (parts,) = read_history(run).lanes.values()
    assert {round(part.limit, 6) for part in parts} == {20.0}


def test_a_run_of_a_week_is_read_in_as_few_rows_and_queries_as_a_short_one() -> None:
    short, long = make_run(), make_run()
    _work(short, begin=NOW - timedelta(minutes=5), minutes=1, replies=2)
    begin = NOW - timedelta(seconds=5 * 100_000)
    shift = make_shift(long, began=begin, heartbeat_at=NOW)
    with connection.cursor() as cursor:
        cursor.execute(_MANY, [long.pk, shift.pk, NOW, 100_000 - 1])
    with CaptureQueriesContext(connection) as few:
        read_history(short)
    with CaptureQueriesContext(connection) as many:
        history = read_history(long)
    assert len(few) == len(many) == 6
    assert all("LIMIT" in query["sql"] for query in many.captured_queries[1:])
    assert 100 < len(history.parts) <= MAX_POINTS + 1
    assert {len(parts) for parts in history.lanes.values()} == {len(history.parts)}
    assert (history.num_readings, history.total.replies) == (100_000, 200_000)
    assert [one.count for one in history.total.failures] == [100_000]
    plots = draw_plots(history)
    assert plots.noun == "day"
    long.state = Run.State.RUNNING
    with CaptureQueriesContext(connection) as live:
        read_live(long, now=NOW)
    assert len(live) == 2


def test_what_was_never_measured_is_said_to_be_nothing(client) -> None:
    run = make_run(state=Run.State.DONE)
    assert read_history(run).num_readings == 0
    assert draw_plots(read_history(run)) is None
    client.force_login(make_user("lead"))
    page = client.get(reverse("distill:run", args=[run.pk])).text
    assert "Its whole course" not in page
    assert "found nothing to do" in page


def test_the_plots_name_each_teacher_and_shade_where_its_circuit_was_open(client) -> None:
    run, begin = make_run(state=Run.State.STOPPED), NOW - timedelta(hours=1)
    _work(run, begin=begin, minutes=4, replies=9, teacher="openai:o3", failures={"rate_limited": 1})
    _work(run, begin=begin, minutes=4, replies=9, state="half_open", limit=1)
    plots = draw_plots(read_history(run))
    assert plots.at_once[0][0] == "On the way, on average"
    assert {label for label, _ in plots.at_once[1:]} == {
        "Limit, offline:extractive",
        "Limit, openai:o3",
    }
    assert [label for label, _ in plots.a_second] == ["Samples", "Replies", "429s, openai:o3"]
    client.force_login(make_user("lead"))
    page = client.get(reverse("distill:run", args=[run.pk])).text
    assert page.count('class="plot-span"') == 1
    assert "The circuit of offline:extractive was open from second 0 to 240: 4 min 00 s." in page


def test_spans_are_cut_where_the_plot_ends() -> None:
    series = [("a", [(0.0, 1.0), (10.0, 2.0)])]
    span, moment = plot_spans([(5, 20, "open"), (2, 2, "pause")], series)
    assert (span.x, span.width, span.is_moment) == ("50.00%", "50.00%", False)
    assert (moment.x, moment.is_moment) == ("20.00%", True)
    assert plot_spans([(5, 20, "open")], [("a", [])]) == []
