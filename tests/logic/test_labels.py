"""What decisions come to, whatever order and mixture they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.labels import Opinion, Outcome, resolve_outcome


def said(*kinds: str, wanted: int = 1, **more: bool) -> list[Opinion]:
    """Opinions in the order in which they were made; a kind in brackets was undone."""
    return [
        Opinion(number, kind.strip("()"), kind.startswith("("), wanted, **more)
        for number, kind in enumerate(kinds, start=1)
    ]


@pytest.mark.parametrize(
    ("opinions", "outcome"),
    [
        (said(), None),
        (said("skip", "undo"), None),
        (said("accept"), Outcome(1, "accepted", "single")),
        (said("skip", "reject"), Outcome(2, "rejected", "single")),
        (said("(accept)", "undo", "reject"), Outcome(3, "rejected", "single")),
        (said("accept", "reject"), Outcome(1, "accepted", "single")),
        (said("accept", wanted=2), None),
        (said("accept", "accept", wanted=2), Outcome(1, "accepted", "unanimous")),
        (said("reject", "accept", wanted=2), None),
        (said("accept", "accept", "reject", wanted=3), None),
        (said("accept", "accept", "reject", wanted=2), Outcome(1, "accepted", "unanimous")),
        (
            said("(reject)", "undo", "accept", "accept", wanted=2),
            Outcome(3, "accepted", "unanimous"),
        ),
        ([*said("accept"), Opinion(9, "reject", is_undone=False, required_reviews=2)], None),
        (
            [
                *said("accept", wanted=2),
                Opinion(7, "reject", is_undone=False, required_reviews=2),
                Opinion(9, "reject", is_undone=False, is_adjudication=True),
            ],
            Outcome(9, "rejected", "adjudicated"),
        ),
        (
            [
                Opinion(7, "accept", is_undone=False, required_reviews=2),
                Opinion(8, "edit", is_undone=False, required_reviews=2),
            ],
            Outcome(8, "accepted", "unanimous"),
        ),
        (
            [*said("accept"), Opinion(9, "skip", is_undone=False, required_reviews=2)],
            Outcome(1, "accepted", "single"),
        ),
        (said("reject", "accept", is_legacy=True), Outcome(1, "rejected", "legacy")),
        (
            [*said("reject", is_legacy=True), Opinion(9, "accept", is_undone=False)],
            Outcome(9, "accepted", "single"),
        ),
        (
            [*said("reject", is_legacy=True), Opinion(9, "accept", is_undone=True)],
            Outcome(1, "rejected", "legacy"),
        ),
    ],
    ids=lambda value: "",
)
def test_what_decisions_come_to(opinions: list[Opinion], outcome: Outcome | None) -> None:
    assert resolve_outcome(opinions) == outcome
    assert resolve_outcome(reversed(opinions)) == outcome


ONE = st.builds(
    Opinion,
    decision_id=st.integers(1, 10**6),
    kind=st.sampled_from(["accept", "reject", "skip", "undo"]),
    is_undone=st.booleans(),
    required_reviews=st.integers(1, 5),
    is_legacy=st.booleans(),
)
MANY = st.lists(ONE, max_size=12, unique_by=lambda one: one.decision_id)


@given(MANY, st.randoms(use_true_random=False))
def test_a_label_rests_on_enough_people_who_agree(opinions, random) -> None:
    outcome = resolve_outcome(opinions)
    random.shuffle(opinions)
    assert resolve_outcome(opinions) == outcome, "the order in which they are read says nothing"
    standing = sorted(
        (one for one in opinions if one.kind in {"accept", "reject"} and not one.is_undone),
        key=lambda one: one.decision_id,
    )
    made_here = [one for one in standing if not one.is_legacy]
    wanted = max((one.required_reviews for one in made_here), default=1)
    if outcome is None:
        is_short = len(made_here) < wanted
        is_split = len({one.kind for one in made_here[:wanted]}) == 2
        assert is_short or is_split
        return
    basis = [one for one in standing if one.decision_id == outcome.decision_id]
    assert basis, "it rests on a decision that stands"
    kind = {"accepted": "accept", "rejected": "reject"}[outcome.name]
    if outcome.basis == "legacy":
        assert not made_here
        assert standing[0].kind == kind
    else:
        assert [one.kind for one in made_here[:wanted]] == [kind] * wanted
        assert (outcome.basis == "unanimous") == (wanted > 1)


@given(MANY, ONE)
def test_a_latecomer_overwrites_nothing(opinions, late) -> None:
    """Whoever comes after a label and wants no more reviews than it has changes nothing."""
    outcome = resolve_outcome(opinions)
    if outcome is None or outcome.basis == "legacy":
        return
    last = max(one.decision_id for one in opinions)
    wanted = max(
        one.required_reviews
        for one in opinions
        if one.kind in {"accept", "reject"} and not one.is_undone and not one.is_legacy
    )
    after = Opinion(
        last + 1, late.kind, late.is_undone, min(late.required_reviews, wanted), late.is_legacy
    )
    assert resolve_outcome([*opinions, after]) == outcome
