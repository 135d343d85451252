"""Where every sample × draw went: the balance of invariant 3, and the waterfall that draws it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from distill.logic.reasons import Reason, Stage
from distill.models import (
    CompletionState,
    Dataset,
    Export,
    Label,
    Run,
    SampleDraw,
)
from distill.queries.cells import Cell, count_dataset, count_reasons, count_run

_State = SampleDraw.State


@dataclass(frozen=True, slots=True)
class Balance:
    """Where the sample draws of a run are; the parts make `total` (invariant 3).

    `rejected` counts by first failing stage, people's rejections under "review"; `failed` counts
    by kind; `pending` is whatever the run has not decided: waiting for an answer, answered, or
    passed the rules only.
    """

    total: int
    eligible: int
    awaiting_review: int
    pending: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        """The sum of the parts."""
        rejected, failed = sum(self.rejected.values()), sum(self.failed.values())
        return self.eligible + self.awaiting_review + self.pending + rejected + failed


@dataclass(frozen=True, slots=True)
class Loss:
    """What did not get to a step, and why. `filters` narrow the completions page to it."""

    label: str
    count: int
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """How many got this far, and what was lost on the way here."""

    label: str
    count: int
    losses: tuple[Loss, ...] = ()
    filters: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class AttemptYield:
    """How many sample draws reached this attempt, and how many passed with it: the gate, and people.

    What people rejected has not passed, whether or not a later attempt has replaced it since.
    """

    attempt: int
    tried: int
    passed: int


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From everything to what people accepted.

    `reasons` counts every reason that a verdict gave (a completion may have several); `summary`
    says which rule took everything away, where one did.
    """

    balance: Balance
    steps: tuple[Step, ...]
    reasons: tuple[tuple[Reason, int], ...]
    attempts: tuple[AttemptYield, ...]
    summary: str


def balance(run: Run) -> Balance:
    """Count where each sample draw of the run is, under the export policy of its recipe.

    What a run that scores a student's answers passes is counted as eligible: nobody reviews it.
    """
    return balance_cells(_cells_of(run), policy=_policy(run))


def run_waterfall(run: Run) -> Waterfall:
    """The waterfall of one run."""
    reasons = count_reasons(run.sample_draws.filter(state=_State.REJECTED).order_by())
    return waterfall_of_cells(
        _cells_of(run),
        reasons=reasons,
        policy=_policy(run),
        is_reviewed=run.kind != Run.Kind.EVALUATE,
    )


def _cells_of(run: Run) -> list[Cell]:
    """Nobody reviews what a run scores of a student: there a flag keeps nothing back."""
    cells = count_run(run)
    if run.kind != Run.Kind.EVALUATE:
        return cells
    return [replace(cell, is_flagged=False) for cell in cells]


def _policy(run: Run) -> str:
    is_scoring = run.kind == Run.Kind.EVALUATE
    return Export.Policy.GATE if is_scoring else run.recipe.content.export.policy


def dataset_waterfall(dataset: Dataset, *, policy: str = Export.Policy.REVIEWED) -> Waterfall:
    """The waterfall of a dataset over all its runs.

    Counts its open completions, the sample draws that never got one (as their latest run left
    them), and the samples that no run has taken yet.
    """
    rejected = CompletionState.objects.filter(
        dataset=dataset, is_open=True, state=CompletionState.State.REJECTED
    )
    return waterfall_of_cells(
        count_dataset(dataset), reasons=count_reasons(rejected), policy=policy
    )


def waterfall_of_cells(
    cells: list[Cell],
    *,
    reasons: tuple[tuple[Reason, int], ...],
    policy: str,
    is_reviewed: bool = True,
) -> Waterfall:
    """Draw the waterfall of what was counted; down to people's decisions where it `is_reviewed`."""
    sums = balance_cells(cells, policy=policy)
    return Waterfall(
        balance=sums,
        steps=_steps(
            [_overruled(cell, policy) for cell in cells], _STEPS if is_reviewed else _STEPS[:-1]
        ),
        reasons=reasons,
        attempts=_attempts(cells),
        # A student that passes nothing is a finding, not a recipe to mend.
        summary=_summary(sums, reasons) if is_reviewed else "",
    )


def balance_cells(cells: Iterable[Cell], *, policy: str) -> Balance:
    """Sort the cells into the places where a sample draw may end.

    Where people decide what is exported, their yes counts whatever the gate said.
    """
    places: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    total = 0
    for counted in cells:
        cell = _overruled(counted, policy)
        total += cell.count
        if cell.state == _State.FAILED:
            failed[cell.failure_kind or "unknown"] += cell.count
        elif stage := _lost_at(cell):
            rejected[stage] += cell.count
        elif cell.state != _State.PASSED:
            places["pending"] += cell.count
        elif _is_eligible(cell, policy):
            places["eligible"] += cell.count
        else:
            places["awaiting_review"] += cell.count
    return Balance(
        total=total,
        eligible=places["eligible"],
        awaiting_review=places["awaiting_review"],
        pending=places["pending"],
        rejected=dict(rejected),
        failed=dict(failed),
    )


def _overruled(cell: Cell, policy: str) -> Cell:
    """The cell as it counts for the policy: what a person accepted has passed, but for `gate`."""
    if policy == Export.Policy.GATE or cell.outcome != Label.Outcome.ACCEPTED:
        return cell
    return replace(cell, state=_State.PASSED, stage="", reason="", failure_kind="")


def _is_eligible(passed: Cell, policy: str) -> bool:
    is_accepted = passed.outcome == Label.Outcome.ACCEPTED
    if policy == Export.Policy.GATE:
        return is_accepted or not passed.is_flagged
    return is_accepted and (policy == Export.Policy.REVIEWED or passed.basis in _GOLD)


_GOLD = (Label.Basis.UNANIMOUS, Label.Basis.ADJUDICATED)


def _steps(cells: list[Cell], kinds: tuple[_StepKind, ...]) -> tuple[Step, ...]:
    total = _sum(cells)
    steps = [Step("Samples × draws", total)]
    reached = cells
    for label, filters, is_lost in kinds:
        lost = [cell for cell in reached if is_lost(cell)]
        reached = [cell for cell in reached if not is_lost(cell)]
        steps.append(Step(label, _sum(reached), _losses(lost), filters))
    return tuple(steps)


def _is_stage(*stages: Stage) -> Callable[[Cell], bool]:
    return lambda cell: _lost_at(cell) in stages


def _is_state(*states: str) -> Callable[[Cell], bool]:
    return lambda cell: cell.state in states


def _is_unaccepted(cell: Cell) -> bool:
    return cell.state != _State.PASSED or cell.outcome != Label.Outcome.ACCEPTED


# A step, the filters of its completions, and what does not reach it from the step before.
_StepKind = tuple[str, Mapping[str, str] | None, Callable[[Cell], bool]]
_STEPS: tuple[_StepKind, ...] = (
    ("Answered", {}, _is_state(_State.PENDING, _State.FAILED)),
    (
        "Parsed",
        None,
        lambda cell: cell.state == _State.ANSWERED or _lost_at(cell) == Stage.PARSE,
    ),
    ("Passed the rules", None, _is_stage(Stage.RULES)),
    (
        "Judged",
        None,
        lambda cell: cell.state == _State.FILTERED or _lost_at(cell) == Stage.JUDGE,
    ),
    ("Passed the gate", {"state": "passed"}, _is_stage(Stage.GATE)),
    ("Accepted by people", {"label": "accepted"}, _is_unaccepted),
)


def _lost_at(cell: Cell) -> str:
    """The stage that rejected it; a rejection without a stage counts for the gate."""
    if cell.state == _State.REJECTED:
        return cell.stage or Stage.GATE
    is_refused = cell.outcome == Label.Outcome.REJECTED and cell.state == _State.PASSED
    return Stage.REVIEW if is_refused else ""


def _losses(cells: list[Cell]) -> tuple[Loss, ...]:
    losses: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for cell in cells:
        label, filters = _loss_of(cell)
        losses[label, tuple(filters.items())] += cell.count
    return tuple(
        Loss(label, count, dict(filters))
        for (label, filters), count in losses.most_common()
        if count
    )


def _loss_of(cell: Cell) -> tuple[str, Mapping[str, str]]:
    """The words for where these went, and the filters of their completions, if they have any."""
    if cell.state == _State.FAILED:
        kind = cell.failure_kind.replace("_", " ") or "unknown"
        return f"failed: {kind}", {"state": "failed"}
    if cell.state == _State.REJECTED:
        filters = {"state": "rejected"} | ({"reason": cell.reason} if cell.reason else {})
        return _reason_label(cell.reason, "rejected"), filters
    if cell.state == _State.PASSED and cell.outcome == Label.Outcome.REJECTED:
        return (
            f"people: {_reason_label(cell.people_reason, 'rejected').lower()}",
            {"state": "passed", "label": "rejected"},
        )
    return _WAITING[_State(cell.state)]


_WAITING: dict[SampleDraw.State, tuple[str, Mapping[str, str]]] = {
    _State.PENDING: ("pending", {"state": "pending"}),
    _State.ANSWERED: ("not filtered yet", {"state": "new"}),
    _State.FILTERED: ("not judged yet", {"state": "filtered"}),
    _State.PASSED: ("awaiting review", {"state": "passed", "label": "none"}),
}


def _reason_label(reason: str, otherwise: str) -> str:
    return Reason(reason).label if reason else otherwise


def _attempts(cells: list[Cell]) -> tuple[AttemptYield, ...]:
    last = max((cell.attempt or 0 for cell in cells), default=0)
    return tuple(
        AttemptYield(
            attempt=number,
            tried=sum(cell.count for cell in cells if (cell.attempt or 0) >= number),
            passed=sum(
                cell.count
                for cell in cells
                if cell.attempt == number and cell.state == _State.PASSED and not _lost_at(cell)
            ),
        )
        for number in range(1, last + 1)
    )


def _summary(sums: Balance, reasons: tuple[tuple[Reason, int], ...]) -> str:
    """What took everything away, in one sentence; empty while anything is left."""
    if not sums.total or sums.eligible or sums.awaiting_review or sums.pending:
        return ""
    rejected, failed = sum(sums.rejected.values()), sum(sums.failed.values())
    if failed > rejected:
        kind = max(sums.failed, key=lambda name: sums.failed[name])
        return (
            f"Nothing passed: {sums.failed[kind]} of {sums.total} requests failed "
            f"({kind.replace('_', ' ')}). Test the teacher, then start a new run."
        )
    if not reasons:
        return "Nothing passed: people rejected all that did."
    reason, count = reasons[0]
    return (
        f"Nothing passed: “{reason.label}” rejected {count} of {sums.total}. Look at a few of "
        f"them, then change that check in the recipe or the template."
    )


def _sum(cells: Iterable[Cell]) -> int:
    return sum(cell.count for cell in cells)
