"""One completion with all that was said of it, and the attempts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from distill.models import Completion, CompletionState, Decision, Judgement, Label, Verdict

MAX_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class CompletionDetail:
    """A completion; `attempts` are those of its sample × draw, itself among them."""

    completion: Completion
    state: CompletionState | None
    label: Label | None
    judgements: Sequence[Judgement]
    verdicts: Sequence[Verdict]
    decisions: Sequence[Decision]
    attempts: Sequence[Completion]


def completion_detail(completion_id: int) -> CompletionDetail | None:
    """Read it in five queries; None where there is none."""
    found = (
        Completion.objects.select_related("sample__dataset", "state_row", "label")
        .prefetch_related(
            "judgements",
            Prefetch("verdicts", Verdict.objects.select_related("recipe")),
            Prefetch("decisions", Decision.objects.select_related("reviewer")),
        )
        .filter(pk=completion_id)
        .first()
    )
    if found is None:
        return None
    beside = Completion.objects.filter(sample=found.sample_id, draw=found.draw)
    attempts = beside.select_related("state_row").defer("text", "fields")
    return CompletionDetail(
        completion=found,
        state=getattr(found, "state_row", None),
        label=getattr(found, "label", None),
        judgements=list(found.judgements.all()),
        verdicts=list(found.verdicts.all()),
        decisions=list(found.decisions.all()),
        attempts=list(attempts.order_by("attempt", "id")[:MAX_ATTEMPTS]),
    )
