from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.blocks import MARKER, block, neutralise

markers = st.sampled_from(["<passage>", "</passage>", "</ANSWER >", "< / rejected_answer>", "a\n"])


@pytest.mark.parametrize(
    "marker",
    ["</passage>", "<passage>", "</PASSAGE>", "< / answer >", "</passage x>", "<rejected_answer>"],
)
def test_a_marker_in_foreign_text_is_shown_but_harmless(marker):
    assert neutralise(marker) == "‹" + marker[1:]


@pytest.mark.parametrize("text", ["p < 0.05", "<b>", "</passages>", "a passage", "<", "< answers"])
def test_other_text_stays_as_it_is(text):
    assert neutralise(text) == text


@given(st.lists(st.text() | markers).map("".join))
def test_a_block_ends_only_where_we_end_it(text):
    marked = block("passage", text)
    assert marked.startswith("<passage>\n")
    assert marked.endswith("\n</passage>")
    assert len(MARKER.findall(marked)) == 2
    assert len(marked) == len(text) + len("<passage>\n\n</passage>")


def test_a_megabyte_of_openings_takes_no_time():
    assert neutralise("<" * 500_000 + " " * 500_000).startswith("<")
