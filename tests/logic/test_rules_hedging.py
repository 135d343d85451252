from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.hedging import HEDGING
from tests.logic.rule_tables import check, examined, findings, nearness, only

HEDGED = "Warm water might possibly affect kelp, and this could perhaps be somewhat due to light."


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (HEDGED, "might"),
        ("é 🧪 It may be, or might be, or could be so.", "may"),
        ("Perhaps it grows; maybe it seems to shrink.", "Perhaps"),
        ("It is possible that it may grow to some extent.", "It is possible"),
    ],
)
def test_a_hedged_claim_is_found_at_its_first_hedge(text, quoted):
    check(HEDGING, text, Reason.HEDGING, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "Warm water may lower the growth of kelp.",
        "Warm water may lower growth. This could be due to light.",
        "In May, the growth of kelp is likely lower, which suggests an effect of light.",
        "Growth falls by 10 % and is as low as possible in June.",
        HEDGED + " " + "Measure the growth of the kelp in the tank every day for a week. " * 12,
        "",
    ],
)
def test_a_claim_with_few_hedges_is_left_alone(text):
    check(HEDGING, text, None)


def test_hedges_are_counted_in_the_hypothesis_where_there_is_one():
    method = "1. Plates may be kept. 2. They might dry. 3. They could be wet, perhaps."
    fields = {"hypothesis": "Warm water lowers growth.", "methodology": method}
    text = "\n\n".join(fields.values())
    assert not findings(HEDGING, text, fields=fields)
    assert findings(HEDGING, text)
    fields["hypothesis"] = HEDGED
    found = findings(HEDGING, "🧪 " + "\n\n".join(fields.values()), fields=fields)
    assert (found[0].start, found[0].end) == (13, 18)
    assert found[0].detail == '5 hedges, 33.3 in 100 words (at most 5); the first: "might"'


def test_hedges_are_measured_and_their_threshold_can_be_set():
    row = examined(HEDGING, HEDGED)
    assert (row["hedges"], row["hedges_per_100_words"]) == (5, pytest.approx(100 / 3))
    lenient = only(HEDGING).model_copy(update={"max_hedges": 5})
    assert not findings(HEDGING, HEDGED, lenient)


def test_a_claim_with_as_many_hedges_as_are_allowed_is_a_near_miss():
    assert nearness(HEDGING, "Warm water may lower growth. This could be due to light.") == 1.0
    assert nearness(HEDGING, "Warm water may lower growth.") is None
    assert nearness(HEDGING, HEDGED) is None
