"""Which completions an export takes: at most one of each sample × draw, in a fixed order.

    reviewed   a person accepted it, whatever the gate said
    gold       as reviewed, and several people agreed on that or one settled it
    gate       it passed the gate, nobody rejected it, and where it carries a flag a person accepted it

Of several attempts the best: one that a person accepted, then the higher mean score, then the later
attempt; the key decides what is still equal. Nothing here depends on a database's own ids, so the
same content is taken in the same order everywhere.

The answers of students and bases are candidates for no dataset, and so in no export.
"""

from __future__ import annotations

from array import array

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When

from distill.models import Completion, CompletionState, Dataset, Export, Label, Run

MAX_COUNTED = 100_000
_BATCH = 5_000
_ACCEPTED = Q(label__outcome=Label.Outcome.ACCEPTED)
_GOLD = _ACCEPTED & Q(label__basis__in=[Label.Basis.UNANIMOUS, Label.Basis.ADJUDICATED])
_REJECTED = Q(label__outcome=Label.Outcome.REJECTED)
REJECTED = _REJECTED | (Q(state_row__state=CompletionState.State.REJECTED) & ~_ACCEPTED)
"""Completions that people rejected, or the gate where no person accepted them."""


def eligible_ids(*, dataset: Dataset, policy: str, run: Run | None = None) -> array[int]:
    """The ids of the completions to export, ordered by sample and draw; 8 bytes for each.

    With a run, only those of its sample × draws are taken.
    """
    chosen = (
        _eligible(dataset, policy, run)
        .order_by(
            "sample__key",
            "draw",
            Case(When(_ACCEPTED, then=Value(0)), default=Value(1)),
            F("state_row__mean_score").desc(nulls_last=True),
            "-attempt",
            "key",
        )
        .distinct("sample__key", "draw")
    )
    # The database sorts ids and keys only; a cursor on its side hands them over in batches.
    return array("q", chosen.values_list("pk", flat=True).iterator(chunk_size=_BATCH))


def count_eligible(*, dataset: Dataset, policy: str) -> int:
    """How many rows an export would have; `MAX_COUNTED + 1` stands for more."""
    found = _eligible(dataset, policy, None).order_by().values("sample", "draw").distinct()
    return found[: MAX_COUNTED + 1].count()


def rejected_ids(*, dataset: Dataset) -> array[int]:
    """The ids of every attempt that the gate or people rejected, by sample, draw and attempt."""
    rejected = Completion.objects.filter(REJECTED, state_row__dataset=dataset, state_row__flags=[])
    ordered = rejected.order_by("sample__key", "draw", "attempt", "key")
    return array("q", ordered.values_list("pk", flat=True).iterator(chunk_size=_BATCH))


def _eligible(dataset: Dataset, policy: str, run: Run | None) -> QuerySet[Completion]:
    completions = Completion.objects.filter(state_row__dataset=dataset)
    if run is not None:
        # Earlier attempts of a run's sample × draw are of the run too.
        draws = run.sample_draws.filter(sample=OuterRef("sample"), draw=OuterRef("draw"))
        completions = completions.filter(Exists(draws))
    if policy != Export.Policy.GATE:
        return completions.filter(_GOLD if policy == Export.Policy.GOLD else _ACCEPTED)
    passed = completions.filter(state_row__state=CompletionState.State.PASSED).exclude(_REJECTED)
    return passed.filter(_ACCEPTED | Q(state_row__flags=[]))
