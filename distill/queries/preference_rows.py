"""Pairs of answers to one question, of which one was taken and the other was not."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Container, Iterator
from typing import Any

from distill.logic.sft_configs import preference_row
from distill.models import Completion, Decision, Label
from distill.queries.eligible import REJECTED
from distill.queries.sft_rows import SftRows

_BATCH = 1_000


def read_preferences(
    rows: SftRows, ids: array[int], *, left_out: Container[int] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of the config `preference` for the exported completions, in their order.

    Each exported completion against the rejected earlier attempts of its sample × draw, the first
    attempt first; then, where a person edited it, against the model's own words. A pair whose two
    answers are the same text teaches nothing and is left out, as are the rejected ones `left_out`. A thousand completions are held at once.
    """
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        before, edited = _earlier_attempts(batch, left_out), _edited(batch)
        wanted = array("q", (pk for pk in batch if pk in before or pk in edited))
        if not wanted:
            continue
        chosen = rows.by_id(wanted)
        others = array("q", (pk for pks in before.values() for pk in pks))
        rejected = rows.by_id(others)
        unedited = rows.by_id(array("q", edited), with_edits=False)
        for pk in wanted:
            found = [("attempt", rejected.get(other)) for other in before.get(pk, [])]
            found.append(("edit", unedited.get(pk)))
            yield from _pairs(chosen.get(pk), found)


def _pairs(
    chosen: dict[str, Any] | None, found: list[tuple[str, dict[str, Any] | None]]
) -> Iterator[dict[str, Any]]:
    for pair_source, rejected in found:
        # Either may have been deleted in the meantime.
        if chosen and rejected and chosen["messages"][-1] != rejected["messages"][-1]:
            yield preference_row(chosen, rejected, pair_source=pair_source)


def _edited(ids: array[int]) -> list[int]:
    """Those that a person accepted with words of their own, in an order that no database decides."""
    edited = Label.objects.filter(
        completion__in=ids, outcome=Label.Outcome.ACCEPTED, decision__kind=Decision.Kind.EDIT
    )
    found = set(edited.values_list("completion", flat=True))
    return [pk for pk in ids if pk in found]


def _earlier_attempts(ids: array[int], left_out: Container[int]) -> dict[int, list[int]]:
    """The rejected attempts of the same sample × draw that came before each; flagged ones stay out."""
    later = Completion.objects.filter(pk__in=ids, attempt__gt=1).order_by()
    chosen = {
        (sample, draw): (pk, attempt)
        for pk, sample, draw, attempt in later.values_list("pk", "sample", "draw", "attempt")
    }
    samples = {sample for sample, _draw in chosen}
    rejected = (
        # Of the dataset itself: what students and bases answered is nobody's attempt.
        Completion.objects.filter(
            REJECTED, sample__in=samples, state_row__flags=[], state_row__dataset__isnull=False
        )
        .order_by("attempt", "key")
        .values_list("pk", "sample", "draw", "attempt")
    )
    found = defaultdict(list)
    for pk, sample, draw, attempt in rejected:
        taken, at = chosen.get((sample, draw), (None, 0))
        if taken is not None and attempt < at and pk not in left_out:
            found[taken].append(pk)
    return found
