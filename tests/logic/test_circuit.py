from __future__ import annotations

import pytest

from distill.logic.circuit import OPEN_AFTER, Circuit


def fail(circuit, now, *, sent_at=None, weight=1.0, is_last=True, patience=2.0):
    sent_at = now - 0.01 if sent_at is None else sent_at
    return circuit.on_failure(
        now, sent_at=sent_at, weight=weight, is_last=is_last, patience=patience
    )


@pytest.fixture
def opened():
    circuit = Circuit(now=0.0)
    while not fail(circuit, 10.0):
        pass
    return circuit


def test_it_opens_after_so_many_failures_in_a_row():
    circuit = Circuit(now=0.0)
    opened = [fail(circuit, 1.0 + number / 100) for number in range(int(OPEN_AFTER))]
    assert opened == [False] * (len(opened) - 1) + [True]
    assert circuit.state == "open"


def test_one_good_reply_begins_the_count_anew():
    circuit = Circuit(now=0.0)
    for number in range(100):
        if number % 9 == 0:
            circuit.on_sign_of_life(number, sent_at=number - 1)
        assert not fail(circuit, number + 0.5)


def test_while_others_are_on_the_way_it_waits_for_them():
    circuit = Circuit(now=0.0)
    assert not any(fail(circuit, 5 + number / 100, is_last=False) for number in range(100))
    assert fail(circuit, 7.0, is_last=False)


def test_failures_of_requests_sent_before_the_last_sign_of_life_prove_nothing():
    circuit = Circuit(now=0.0)
    circuit.on_sign_of_life(100.0, sent_at=99.0)
    assert not any(fail(circuit, 180 + number, sent_at=99.5) for number in range(100))


def test_failures_that_may_be_the_requests_own_count_less():
    circuit = Circuit(now=0.0)
    assert not any(fail(circuit, number, weight=0.2) for number in range(1, 49))


def test_probes_leave_one_at_a_time_and_never_more_than_two_and_a_half_seconds_apart(opened):
    now, waits = 10.0, []
    for _ in range(20):
        wait = opened.wait(now, 2.0)
        waits.append(wait)
        now += wait
        assert opened.wait(now, 2.0) == 0
        opened.send_probe(now)
        assert opened.state == "half_open"
        assert opened.wait(now + 0.01, 2.0) > 0
        assert not fail(opened, now + 0.02, sent_at=now)
        assert opened.state == "open"
        now += 0.02
    assert 0.8 <= waits[0] <= 1
    assert all(0 < wait <= 2.5 for wait in waits)
    assert len(set(waits[5:])) > 10


def test_a_silent_probe_is_overtaken(opened):
    opened.send_probe(12.0)
    assert opened.wait(13.0, 2.0) == 2
    assert opened.wait(13.0, 20.0) == 19
    assert opened.wait(15.0, 2.0) == 0
    opened.send_probe(15.0)
    assert not fail(opened, 15.1, sent_at=12.0)
    assert opened.state == "half_open"
    assert opened.on_sign_of_life(15.2, sent_at=12.0)


def test_only_a_probe_closes_it(opened):
    assert not opened.on_sign_of_life(10.5, sent_at=9.0)
    assert opened.state == "open"
    opened.send_probe(12.0)
    assert not opened.on_sign_of_life(12.5, sent_at=9.5)
    assert opened.on_sign_of_life(13.0, sent_at=12.0)
    assert opened.state == "closed"


def test_failures_on_the_way_when_it_opened_neither_extend_nor_reopen_it(opened):
    due = opened.wait(10.0, 2.0)
    for _ in range(50):
        fail(opened, 10.1, sent_at=9.9)
    assert opened.wait(10.0, 2.0) == due
    opened.send_probe(12.0)
    opened.on_sign_of_life(13.0, sent_at=12.0)
    assert not any(fail(opened, 13.1, sent_at=9.9) for _ in range(50))
    assert opened.state == "closed"
