from __future__ import annotations

import pytest

from distill.logic.document_yaml import MAX_CHARS, read_yaml, write_yaml
from distill.logic.errors import InputError


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "line 1, column 5"),
        ("a: 1\nb: 2\na: 3", 'line 3, column 1: the key "a" stands twice'),
        ("a: &x 1\nb: *x", "line 2, column 4: an alias (*name) is not allowed here"),
        ("[a, b]: 1", "line 1, column 1: a key must be a text"),
        ("a: !!set {x}", "line 1, column 4: a tag (!name) is not allowed here"),
        ("a: !!python/object:os.system x", "a tag (!name) is not allowed here"),
        ("a: !!map [[b, c]]", "a tag (!name) is not allowed here"),
        ("!!bool x: 1", "a tag (!name) is not allowed here"),
        ('a: "\\0"', "line 1, column 4: a text holds a NUL character"),
        ('a: "\\ud800"', "line 1, column 4: a text holds half a surrogate pair"),
        ("a: 0x8000000000000000", "line 1, column 4: a number is too large"),
        ("a: 1" + ":00" * 300 + ".0", "line 1, column 4: a number is too large"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("\x01", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("- 1", "must be a mapping"),
        ("text", "must be a mapping"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a" * (MAX_CHARS + 1), "too long"),
    ],
)
def test_what_hides_grows_or_runs_is_refused(text, complaint):
    with pytest.raises(InputError) as caught:
        read_yaml(text)
    assert complaint in str(caught.value)


def test_a_date_is_a_text():
    assert read_yaml("a: 2024-01-31")[0] == {"a": "2024-01-31"}


def test_places_give_the_line_of_the_field_or_of_what_is_around_it():
    places = read_yaml("a:\n  b:\n  - 1\n  - c: 2\nd: 3")[1]
    wanted = {(): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1, "c"): 4, ("d",): 5}
    assert {place: places.line_of(place) for place in wanted} == wanted
    assert places.line_of(("a", "b", 7)) == 2
    assert places.line_of(("a", "missing", "x")) == 1
    assert places.line_of(("d", "x")) == 5


def test_an_empty_document_has_no_places_but_a_line():
    content, places = read_yaml("")
    assert (content, places.line_of(("a",))) == ({}, 1)


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\n b\n", "\n a\nb", " a\nb", "a \nb", "a\x85\nb", "a\u2028\nb", "- \n#", "\n\n"],
)
def test_every_text_comes_back_unchanged(text):
    assert read_yaml(write_yaml({"a": text}))[0] == {"a": text}
