"""The earlier attempts of a completion: what became of them, and what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distill.models import Completion, Decision
from review.logic.panes import panes
from review.logic.word_diff import Part, word_diff
from review.queries.matching import standing_verdicts

_MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class ChangedPane:
    """One headed text of an attempt, as the difference to the next attempt's."""

    label: str
    parts: tuple[Part, ...]

    @property
    def is_changed(self) -> bool:
        return any(part.change != "kept" for part in self.parts)


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An attempt that another one replaced: why, and how its text became the next one's.

    Of what judges said only the reasons are shown, never a score: the card is decided blind.
    """

    completion: Completion
    next_attempt: int
    gate_reasons: Sequence[str]
    decisions: Sequence[Decision]
    changes: list[ChangedPane]

    @property
    def people_reasons(self) -> list[str]:
        """What people gave as reasons, each once."""
        given = (reason for decision in self.decisions for reason in decision.reasons)
        return list(dict.fromkeys(given))


def earlier_attempts(completion: Completion) -> list[EarlierAttempt]:
    """The completion's ancestors, the latest first, in two queries; none for a first attempt."""
    if completion.parent_id is None:
        return []
    ancestors = _ancestors(completion)
    decisions = _decisions(ancestors)
    return [
        EarlierAttempt(
            completion=earlier,
            next_attempt=later.attempt,
            gate_reasons=earlier.state_row.reasons,
            decisions=decisions[earlier.pk],
            changes=_changes(earlier, later),
        )
        for later, earlier in zip((completion, *ancestors), ancestors, strict=False)
    ]


def _ancestors(completion: Completion) -> list[Completion]:
    same = Completion.objects.filter(
        sample=completion.sample_id, draw=completion.draw, attempt__lt=completion.attempt
    )
    by_id = {
        one.pk: one
        for one in same.select_related("state_row").order_by("-attempt", "-id")[:_MOST_ATTEMPTS]
    }
    found: list[Completion] = []
    parent_id = completion.parent_id
    while parent_id in by_id:
        found.append(by_id[parent_id])
        parent_id = by_id.pop(parent_id).parent_id
    return found


def _decisions(completions: Iterable[Completion]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = defaultdict(list)
    for decision in standing_verdicts().filter(completion__in=completions).order_by("id"):
        found[decision.completion_id].append(decision)
    return found


def _changes(earlier: Completion, later: Completion) -> list[ChangedPane]:
    before = {pane.label: pane.text for pane in panes(earlier.fields, text=earlier.text)}
    after = {pane.label: pane.text for pane in panes(later.fields, text=later.text)}
    labels = dict.fromkeys((*after, *before))
    return [
        ChangedPane(label, word_diff(before.get(label, ""), after.get(label, "")))
        for label in labels
    ]
