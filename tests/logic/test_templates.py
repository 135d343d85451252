from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.reasons import Reason
from distill.logic.templates import (
    SHIPPED,
    Template,
    build_messages,
    field_spans,
    parse_reply,
    plain_text,
    reply_line,
    write_reply,
)

PAIR, HYPOTHESIS, METHODOLOGY = (SHIPPED[name] for name in ("pair", "hypothesis", "methodology"))
HEADINGS = Template(
    name="headings",
    user="{text}",
    reply_fields=("claim", "how_to"),
    reply_format="text",
)
ALL = [PAIR, HYPOTHESIS, METHODOLOGY, HEADINGS]

hard_lines = st.sampled_from(
    ["## claim", "\\## claim", "# How to:", "```json", "{}", '"', "\\", "1. a", "\ufffd", "\u2028"]
)
tidy_texts = (
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")) | hard_lines,
        min_size=1,
    )
    .map("\n".join)
    .map(str.strip)
    .filter(bool)
)


def reasons(parsed):
    return [finding.reason for finding in parsed.evidence]


# --- what is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "line"),
    [
        (PAIR, 'Reply with a JSON object with exactly these keys: "hypothesis", "methodology".'),
        (HYPOTHESIS, "Reply with plain text only: the hypothesis."),
        (METHODOLOGY, "Reply with plain text only: the methodology."),
    ],
)
def test_the_user_message_ends_with_the_line_that_the_offline_teacher_reads(template, line):
    system, user = build_messages(template, text="Cells grow.")
    assert user.content.split("\n")[-1] == line == reply_line(template)
    assert "\n<passage>\nCells grow.\n</passage>\n" in user.content
    assert (system.role, user.role) == ("system", "user")


def test_several_text_fields_are_asked_for_under_headings():
    assert reply_line(HEADINGS) == (
        'Reply with plain text only, each part under its own heading line: "## claim", "## how_to".'
    )


def test_a_template_without_system_text_sends_none():
    assert [message.role for message in build_messages(HEADINGS, text="x")] == ["user"]


@pytest.mark.parametrize(
    "text", ["{domain}", "{0}", "{text}", "{", "100 % {} %s", r"\1 \g<0>", "a\n\n\n b ", "{{x}}"]
)
def test_hostile_text_comes_out_as_it_is(text):
    user = build_messages(PAIR, text=text, domain="{title}", title="T")[-1].content
    assert f"<passage>\n{text}\n</passage>" in user
    assert "Domain: {title}" in user


@given(st.text())
def test_no_passage_closes_its_block(text):
    user = build_messages(HYPOTHESIS, text=text + "</passage>", title=text)[-1].content
    assert user.count("</passage>") == 1
    assert user.count("<passage>") == 1


def test_lines_without_a_value_are_left_out_and_leave_no_gap():
    user = build_messages(PAIR, text="x", domain="physics")[-1].content
    assert "Domain: physics" in user
    assert "Title:" not in user
    assert "Task:" not in user
    assert "\n\n\n" not in build_messages(PAIR, text="x")[-1].content


# --- what a template may be ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"user": "no passage"}, "must hold {text} once"),
        ({"user": "Passage: {text}"}, "alone on its line"),
        ({"user": "{text}\n{text}"}, "must hold {text} once"),
        ({"user": "{text}\nsee {text}"}, "only once"),
        ({"user": "<passage>\n{text}\n</passage>"}, "brings its own"),
        ({"user": "{text}\n{context}"}, "known placeholders are {text}"),
        ({"system": "You know {domain}."}, "belong into user"),
        ({"reply_fields": ()}, "at least one field"),
        ({"reply_fields": ("a", "a")}, "each once"),
        ({"reply_fields": ("A b",)}, "lower-case"),
        ({"reply_format": "xml"}, "'json' or 'text'"),
        ({"surprise": 1}, "unknown key"),
    ],
)
def test_a_template_that_could_not_work_is_refused(change, complaint):
    values = {"name": "t", "user": "{text}", "reply_fields": ("a",), **change}
    with pytest.raises(ValidationError) as caught:
        Template(**values)
    assert complaint in str(caught.value)


def test_latex_and_json_in_a_template_are_no_placeholders():
    user = '{text}\nUse \\text{moles}, x_{max} and {"a": 1}.'
    template = Template(name="t", user=user, reply_fields=("a",))
    assert user.split("\n")[1] in build_messages(template, text="x")[-1].content


# --- what is read ----------------------------------------------------------------------------


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.name)
@given(data=st.data())
def test_reading_is_the_inverse_of_writing(template, data):
    fields = {name: data.draw(tidy_texts) for name in template.reply_fields}
    parsed = parse_reply(template, write_reply(template, fields))
    assert parsed.fields == fields
    assert parsed.evidence == ()


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.name)
@given(text=st.text() | hard_lines)
def test_no_reply_makes_it_raise_and_what_is_found_is_written_back(template, text):
    parsed = parse_reply(template, text)
    assert set(parsed.fields) <= set(template.reply_fields)
    assert bool(parsed.evidence) == (set(parsed.fields) != set(template.reply_fields))
    if not parsed.evidence:
        assert parse_reply(template, write_reply(template, parsed.fields)) == parsed


def test_json_is_written_for_people():
    written = write_reply(PAIR, {"methodology": "1. é", "hypothesis": "→", "other": "x"})
    assert written == '{\n  "hypothesis": "→",\n  "methodology": "1. é"\n}'


def test_several_text_fields_are_written_under_headings():
    written = write_reply(HEADINGS, {"claim": "a", "how_to": "## claim\nb"})
    assert written == "## claim\na\n\n## how_to\n\\## claim\nb"


def test_one_text_field_is_the_text_itself():
    assert write_reply(HYPOTHESIS, {"hypothesis": " x\r\ny "}) == "x\ny"
    assert parse_reply(HYPOTHESIS, " x\r\ny ").fields == {"hypothesis": "x\ny"}


def test_headings_are_read_in_any_case_and_prose_before_them_is_left_out():
    reply = "Sure!\n# CLAIM:\na\n### How to\nb\n## claim\nc"
    assert parse_reply(HEADINGS, reply).fields == {"claim": "a", "how_to": "b\n## claim\nc"}


@pytest.mark.parametrize(
    ("reply", "fields", "expected"),
    [
        ('{"hypothesis": "h"}', {"hypothesis": "h"}, [Reason.MISSING_FIELD]),
        ('{"hypothesis": " ", "methodology": null}', {}, [Reason.MISSING_FIELD] * 2),
        ('{"hypothesis": 3, "methodology": {"a": 1}}', {}, [Reason.MISSING_FIELD] * 2),
        ('{"hypothesis": ["a", 1], "methodology": []}', {}, [Reason.MISSING_FIELD] * 2),
        ("I would rather not.", {}, [Reason.UNPARSEABLE]),
        ("", {}, [Reason.UNPARSEABLE]),
    ],
)
def test_faults_of_form_are_found(reply, fields, expected):
    parsed = parse_reply(PAIR, reply)
    assert parsed.fields == fields
    assert reasons(parsed) == expected


def test_the_detail_says_what_stands_there():
    parsed = parse_reply(PAIR, '{"hypothesis": 3, "methodology": [1]}')
    assert [finding.detail for finding in parsed.evidence] == [
        '"hypothesis" is 3, text was asked for',
        '"methodology" is a list with other values than texts, text was asked for',
    ]
    assert "an object" in parse_reply(PAIR, '{"hypothesis": {}}').evidence[0].detail


def test_a_list_of_steps_becomes_numbered_lines():
    reply = '{"hypothesis": "h", "methodology": ["Mix 1. x", "2) Wash", "", "Step 3: Dry"]}'
    assert parse_reply(PAIR, reply).fields["methodology"] == "1. Mix 1. x\n2. Wash\n3. Dry"


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens", "content_filter"])
def test_a_reply_that_was_cut_off_is_truncated_whatever_else_is_found(finish_reason):
    whole = parse_reply(HYPOTHESIS, "h", finish_reason=finish_reason)
    assert (whole.fields, reasons(whole)) == ({"hypothesis": "h"}, [Reason.TRUNCATED])
    broken = parse_reply(PAIR, '{"hypothesis": "h', finish_reason=finish_reason)
    assert reasons(broken) == [Reason.TRUNCATED, Reason.UNPARSEABLE]


def test_a_nul_becomes_a_replacement_character():
    assert parse_reply(HYPOTHESIS, "a\0b").fields == {"hypothesis": "a\ufffdb"}
    assert parse_reply(PAIR, "a\0b").evidence[0].detail.endswith("begins: a\ufffdb")


# --- what is shown ---------------------------------------------------------------------------


def test_the_spans_find_the_fields_in_the_plain_text():
    fields = {"methodology": "1. é", "hypothesis": "h\n\nh"}
    text = plain_text(PAIR, fields)
    spans = field_spans(PAIR, fields)
    assert text == "h\n\nh\n\n1. é"
    assert {name: text[start:end] for name, (start, end) in spans.items()} == fields


def test_missing_fields_leave_no_trace_in_the_plain_text():
    assert plain_text(PAIR, {"methodology": "m"}) == "m"
    assert field_spans(PAIR, {"methodology": "m"}) == {"methodology": (0, 1)}
