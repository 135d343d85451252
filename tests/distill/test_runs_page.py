"""The list of runs, and the page of one run: live while it goes on, still when it has ended."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.logic.errors import FailureKind
from distill.logic.reasons import Reason
from distill.models import Call, Purchase, Reply, Run, RunEvent, SampleDraw
from distill.queries.progress import live_progress, run_account
from tests.builders import make_recipe, make_run, make_sample_draw, make_user

pytestmark = pytest.mark.django_db

STATE = SampleDraw.State


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
        heartbeat_at=timezone.now(),
        pulse={"in_flight": 7, "slots": 64, "replies_per_s": 4.0, "retries": 3, "waiting": 2},
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


def _buy(run, *, outcome="", minutes=5, bound=1000):
    call = Call.objects.create(key=uuid.uuid4().bytes, teacher="openai:gpt-4o")
    purchase = Purchase.objects.create(
        call=call,
        number=1,
        run=run,
        bound_nano=bound,
        expires_at=timezone.now() + timedelta(minutes=minutes),
    )
    if outcome:
        Reply.objects.create(purchase=purchase, call=call, outcome=outcome, raw=b"{}")
    return call


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
    for words in ("about 1 s left", "of 64 slots, 2 waiting", "3 retries", "Stop", "$0.00"):
        assert words in page
    assert "every 2s" in page


def test_each_part_comes_alone(operator, running):
    for part in ("run-live", "run-waterfall", "run-log"):
        answer = _htmx(operator, _url(running), part)
        assert answer.status_code == 200
        assert answer.text.strip().startswith(f'<div id="{part}"')
        assert "<html" not in answer.text


def test_an_ended_run_stops_polling(operator):
    run = make_run(state=Run.State.DONE, finished_at=timezone.now())
    for part in ("run-live", "run-waterfall", "run-log"):
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
    ("part", "most"), [(None, 20), ("run-live", 5), ("run-waterfall", 12), ("run-log", 5)]
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


def test_the_account_counts_errors_savings_and_what_is_possibly_billed():
    run, earlier = make_run(), make_run()
    _buy(run, outcome=FailureKind.SERVER, bound=None)
    _buy(run, outcome=Reply.ACCEPTED)
    _buy(run, minutes=-5)
    _buy(run, minutes=5)
    known = _buy(earlier, outcome=Reply.ACCEPTED)
    make_sample_draw(run, call=known)
    make_sample_draw(run, call=_buy(run, outcome=Reply.ACCEPTED))
    account = run_account(run, now=timezone.now())
    assert (account.sent, account.unpriced) == (5, 1)
    assert account.errors == (("server", 1),)
    assert (account.possibly_billed, account.possibly_billed_nano) == (1, 1000)
    assert account.from_ledger == 1


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
