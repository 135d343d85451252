from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distill.logic.storable import storable


@given(st.text(st.characters(codec=None)), st.integers(0, 20))
def test_what_is_storable_has_a_utf8_form_without_nul(text: str, limit: int) -> None:
    stored = storable(text, limit=limit)
    assert len(stored) == min(len(text), limit)
    assert b"\0" not in stored.encode()
    assert storable(stored) == stored


def test_ordinary_text_stays_as_it_is() -> None:
    assert storable("µ-opioid\n\tK⁺ 🧪") == "µ-opioid\n\tK⁺ 🧪"
