from __future__ import annotations

import pytest

from distill.logic.errors import DistillError, FailureKind, InputError, TeacherError


def test_what_reached_the_model_may_be_billed():
    assert {kind for kind in FailureKind if kind.may_be_billed} == {
        FailureKind.SERVER,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.BROKEN_ENVELOPE,
        FailureKind.EMPTY,
        FailureKind.REFUSED,
        FailureKind.TRUNCATED,
        FailureKind.UNPARSEABLE,
    }
    assert not FailureKind.REFUSED.is_retryable
    assert FailureKind.RATE_LIMITED.is_retryable


@pytest.mark.parametrize("kind", [FailureKind.AUTHENTICATION, FailureKind.OUT_OF_BUDGET])
def test_what_stops_the_run_is_never_sent_again(kind):
    assert kind.stops_the_run
    assert not kind.is_retryable
    assert not FailureKind.SERVER.stops_the_run


def test_a_teachers_error_carries_what_its_catcher_needs():
    error = TeacherError(
        FailureKind.RATE_LIMITED, "Wait.", status=429, retry_after=3.0, raw=b"x", latency_ms=7
    )
    assert (error.kind, error.status, error.retry_after) == (FailureKind.RATE_LIMITED, 429, 3.0)
    assert (error.raw, error.latency_ms, str(error)) == (b"x", 7, "Wait.")
    assert isinstance(error, DistillError)


def test_what_never_left_was_not_billed():
    assert TeacherError(FailureKind.CONNECTION, "Reset.").may_be_billed
    assert not TeacherError(FailureKind.CONNECTION, "Refused.", is_sent=False).may_be_billed
    assert not TeacherError(FailureKind.RATE_LIMITED, "Wait.").may_be_billed


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)
