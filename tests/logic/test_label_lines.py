"""Label lines: what is written is read again, and nothing that comes is more than refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.columns import guess_mapping
from distill.logic.completion_key import completion_key
from distill.logic.label_lines import (
    LABEL_COLUMNS,
    LABEL_MARKS,
    LEGACY_REVIEWER,
    LabelledDecision,
    LabelLineError,
    form_of,
    read_label_line,
    read_legacy_label,
    write_decision,
)
from distill.logic.reasons import REVIEWER_REASONS, Reason, in_order
from distill.logic.samples import Refusal, SampleDraft, draft_sample, sample_key

AT = datetime(2026, 1, 31, 12, 30, 5, 123456, UTC)
DECISION = LabelledDecision(
    reviewer="reviewer-0a1b2c3d",
    kind="reject",
    decided_at=AT,
    reasons=(Reason.NOT_FALSIFIABLE, Reason.TRIVIAL),
    note="What would refute it?\nName the dose.",
    judge_seen=True,
    required_reviews=2,
)
SAMPLE = sample_key(text="Cells grow.", domain="biology")
ANSWER = " The answer, with outer space. \r\n"
LINE: dict[str, Any] = {
    "sample_id": SAMPLE,
    "completion_id": completion_key(
        sample_key=SAMPLE, draw=1, attempt=2, teacher="offline:extractive", text=ANSWER
    ),
    "dataset": "demo",
    "prompt": "What was asked.",
    "context": "Cells grow.",
    "domain": "biology",
    "template_name": "",
    "title": "",
    "instruction": "",
    "source_id": "doi-1",
    "text": ANSWER,
    "draw": 1,
    "attempt": 2,
    "teacher": "offline:extractive",
    "model": "extractive",
    "finish_reason": "stop",
    "label": "rejected",
    "basis": "single",
    **write_decision(DECISION),
    "others": [],
}
LEGACY: dict[str, Any] = {
    "index": 3,
    "task_type": "hypothesis",
    "context": "Cells grow.",
    "teacher_output": "An answer.",
    "action": "regenerate",
    "timestamp": "2025-11-20T10:11:12.131415",
}

decisions = st.builds(
    LabelledDecision,
    reviewer=st.from_regex(r"reviewer-[0-9a-f]{8}", fullmatch=True),
    kind=st.just("reject"),
    decided_at=st.integers(0, 6_000_000_000_000_000).map(
        lambda after: datetime(2000, 1, 2, tzinfo=UTC) + timedelta(microseconds=after)
    ),
    reasons=st.lists(st.sampled_from(REVIEWER_REASONS), min_size=1).map(in_order).map(tuple),
    note=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    judge_seen=st.booleans(),
    required_reviews=st.integers(1, 9),
    is_legacy=st.booleans(),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [*LINE.values(), *LEGACY.values(), "\0", "9" * 100, "0001-01-01T00:00+14:00"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.lists(decisions, min_size=1, max_size=4))
def test_decisions_are_read_as_they_were_written(written):
    first, *others = written
    line = LINE | write_decision(first) | {"others": [write_decision(one) for one in others]}
    assert read_label_line(line).decisions == tuple(written)


def refusal_of(read: Callable[[Any], object], line: dict[str, Any]) -> LabelLineError | None:
    try:
        read(line)
    except LabelLineError as error:
        return error
    return None


@given(st.dictionaries(st.sampled_from([*LINE, *LEGACY]), anything, max_size=4))
def test_whatever_stands_in_a_line_is_read_or_refused_with_its_field(changes):
    for read, line in ((read_label_line, LINE | changes), (read_legacy_label, LEGACY | changes)):
        error = refusal_of(read, line)
        assert error is None or error.field in {*LINE, *LEGACY}
        assert error is None or len(str(error)) < 400
    drafted = draft_sample(LINE | changes, guess_mapping(list(LINE), [LINE]))
    assert isinstance(drafted, SampleDraft | Refusal)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"sample_id": "abc"}, "sample_id", "is not 32 hexadecimal digits"),
        ({"completion_id": 7}, "completion_id", "is a int, not a text"),
        ({"decision": "maybe"}, "decision", "'maybe' is unknown; known are accept, edit, reject"),
        ({"decision": None}, "decision", "'' is unknown"),
        ({"reasons": ["low_score"]}, "reasons", "'low_score' is no reason that a reviewer gives"),
        ({"reasons": "trivial"}, "reasons", "no list of texts"),
        ({"decision": "accept"}, "reasons", "only a rejection has any"),
        ({"reviewer": "alice"}, "reviewer", "'alice' is no pseudonym"),
        ({"note": "a\0b"}, "note", "NUL"),
        ({"note": "a\ud800b"}, "note", "UTF-8"),
        ({"note": "x" * 20_001}, "note", "20,001 characters, at most 20,000"),
        ({"decided_at": "yesterday"}, "decided_at", "is no time"),
        ({"decided_at": "2026-01-31T12:30:00"}, "decided_at", "names no time zone"),
        ({"decided_at": "0001-01-01T00:00:00+14:00"}, "decided_at", "in the year 1"),
        ({"judge_seen": "yes"}, "judge_seen", "is a str, not true or false"),
        ({"required_reviews": 0}, "required_reviews", "allowed is 1 to 100"),
        ({"required_reviews": True}, "required_reviews", "is a bool"),
        ({"others": [3]}, "others", "no list of decisions"),
        ({"others": [{}] * 101}, "others", "101 others, at most 100"),
    ],
)
def test_a_bad_line_is_refused_with_field_and_reason(changes, field, words):
    with pytest.raises(LabelLineError) as caught:
        read_label_line(LINE | changes)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_an_old_label_counts_as_legacy_and_regenerate_as_a_rejection():
    label = read_legacy_label(LEGACY)
    assert (label.index, label.answer) == (3, "An answer.")
    assert label.decision == LabelledDecision(
        reviewer=LEGACY_REVIEWER,
        kind="reject",
        decided_at=datetime(2025, 11, 20, 10, 11, 12, 131415, UTC),
        reasons=(Reason.OTHER,),
        judge_seen=True,
        is_legacy=True,
    )
    assert read_legacy_label(LEGACY | {"action": "Accept "}).decision.reasons == ()


@pytest.mark.parametrize("index", [-1, 1.0, "3", None, 2**60])
def test_an_old_label_needs_the_number_of_a_row(index):
    with pytest.raises(LabelLineError, match="Its index"):
        read_legacy_label(LEGACY | {"index": index})


def test_a_time_is_kept_in_utc():
    east = DECISION.decided_at.astimezone(timezone(timedelta(hours=5)))
    line = LINE | {"decided_at": east.isoformat()}
    assert read_label_line(line).decisions[0].decided_at == AT
    assert LINE["decided_at"] == "2026-01-31T12:30:05.123456Z"


def test_the_two_forms_are_told_by_their_columns():
    assert form_of(LINE) == "lines"
    assert form_of(LEGACY) == "legacy"
    assert form_of(["teacher_output", "context", "domain"]) is None
    assert LABEL_MARKS <= LABEL_COLUMNS


# --- as a row of a dataset ---


def drafted(**changes: object) -> SampleDraft | Refusal:
    line = LINE | changes
    return draft_sample(line, guess_mapping(list(line), [line]))


def test_a_line_rebuilds_its_sample_and_completion():
    draft = drafted()
    assert isinstance(draft, SampleDraft)
    assert draft.key == SAMPLE
    assert draft.source_key == "doi-1"
    assert draft.metadata == "{}", "nothing of the label is a property of the sample"
    assert draft.answer is not None
    assert (draft.answer.text, draft.answer.draw, draft.answer.attempt) == (ANSWER, 1, 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"context": "Cells shrink."}, "sample_id"),
        ({"text": "Another answer."}, "completion_id"),
        ({"teacher": "openai:gpt-4o"}, "completion_id"),
        ({"text": ""}, "text"),
        ({"reviewer": "alice"}, "reviewer"),
    ],
)
def test_a_line_that_was_changed_makes_no_sample(changes, field):
    refusal = drafted(**changes)
    assert isinstance(refusal, Refusal)
    assert refusal.field == field
