"""What an export says of where its rows are from, and why there may be none."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef

from distill.models import Dataset, Export, Sample
from distill.queries.waterfall import Step, Waterfall, dataset_waterfall


def describe_origin(dataset: Dataset, *, policy: str) -> dict[str, Any]:
    """Source files and the waterfall, in an order that no database decides."""
    return {
        "sources": _sources(dataset),
        "waterfall": _waterfall(dataset_waterfall(dataset, policy=policy)),
    }


def why_nothing(dataset: Dataset, *, policy: str) -> str:
    """Say why no completion of the dataset is eligible, and what to do."""
    waterfall = dataset_waterfall(dataset, policy=policy)
    balance = waterfall.balance
    rejected = sum(balance.rejected.values())
    parts = [_NOTHING[Export.Policy(policy)]]
    if balance.awaiting_review:
        waits = "await a further review" if policy == Export.Policy.GOLD else "await review"
        parts.append(f"{balance.awaiting_review:,} {waits}")
    if rejected:
        most = f", most for “{waterfall.reasons[0][0].label}”" if waterfall.reasons else ""
        parts.append(f"{rejected:,} rejected{most}")
    if failed := sum(balance.failed.values()):
        parts.append(f"{failed:,} failed")
    if balance.pending:
        parts.append(f"{balance.pending:,} not decided yet")
    return f"Nothing of “{dataset.name}” can be exported: {'; '.join(parts)}. {_advice(waterfall, policy)}"


_NOTHING = {
    Export.Policy.GATE: "0 passed the gate",
    Export.Policy.REVIEWED: "0 accepted",
    Export.Policy.GOLD: "0 accepted by several people who agreed, or by adjudication",
}


def _advice(waterfall: Waterfall, policy: str) -> str:
    if waterfall.balance.awaiting_review and policy == Export.Policy.GOLD:
        return (
            "Open a queue that wants two reviews of each completion or more, or export what one "
            "person accepted (policy reviewed)."
        )
    if waterfall.balance.awaiting_review:
        return "Accept some in review, or export what passed the gate."
    if not waterfall.balance.total:
        return "The dataset has no samples: import some, then start a run."
    return "Start a run over the dataset, or look at what was rejected and why."


def _sources(dataset: Dataset) -> list[dict[str, Any]]:
    files = dataset.source_files.filter(Exists(Sample.objects.filter(source_file=OuterRef("pk"))))
    found = [{"name": file.name, "sha256": file.sha256, "bytes": file.size_bytes} for file in files]
    return sorted(found, key=lambda file: (file["name"], file["sha256"]))


def _waterfall(waterfall: Waterfall) -> dict[str, Any]:
    return {
        "steps": [_step(step) for step in waterfall.steps],
        "reasons": [
            {"reason": reason.value, "count": count}
            for reason, count in sorted(waterfall.reasons, key=lambda pair: (-pair[1], pair[0]))
        ],
        "attempts": [
            {"attempt": one.attempt, "tried": one.tried, "passed": one.passed}
            for one in waterfall.attempts
        ],
    }


def _step(step: Step) -> dict[str, Any]:
    losses = sorted(step.losses, key=lambda loss: (-loss.count, loss.label))
    return {
        "label": step.label,
        "count": step.count,
        "losses": [{"label": loss.label, "count": loss.count} for loss in losses],
    }
