"""What a dataset's gate does and would do, as plain data: for scripts and the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Sum

from distill.logic.judge_columns import dimensions_of
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.what_if import Outcome, Settings
from distill.models import Dataset
from distill.queries.gate_page import GatePage, ReasonRow
from distill.queries.snapshot import Snapshot

NANO = 1_000_000_000
_COUNTS = ("total", "passed", "accepted", "must_review", "unjudged", "exported", "unpriced")
_CELLS = ("both_yes", "only_gate", "only_people", "both_no", "total", "agreed")


def count_samples(dataset: Dataset) -> int:
    """The samples of all its files, from what their imports have counted."""
    return int(dataset.source_files.aggregate(kept=Sum("rows_kept"))["kept"] or 0)


def known_dimensions(recipe: Recipe, snapshot: Snapshot | None) -> list[str]:
    """The dimensions that a threshold may name: of the rubric, and any that was ever scored."""
    scored = dimensions_of(snapshot.frame) if snapshot else []
    return list(dict.fromkeys([*recipe.rubric.names, *scored]))


def settings_as_data(settings: Settings) -> dict[str, Any]:
    """The thresholds and the rules, as a recipe writes them."""
    return {
        "gate": settings.gate.model_dump(mode="json"),
        "rules": settings.rules.model_dump(mode="json"),
    }


def gate_report(page: GatePage, settings: Settings) -> dict[str, Any]:
    """Everything that the gate's page shows, under the settings asked for and as it is now.

    Money is US dollars as text, null where it is not known.
    """
    return {
        "settings": settings_as_data(settings),
        "is_changed": page.is_changed,
        "alert": page.alert.text if page.alert else None,
        "waterfall": _waterfall(page),
        "now": _outcome(page.now),
        "then": _outcome(page.then) | {"agreement_interval": page.interval},
        "reasons": [_reason(row) for row in page.reasons],
        "changes": [
            {
                "completion": row.change.completion_id,
                "passes": row.change.passes,
                "why": [code.value for code in row.change.why],
                "mean_score": row.change.mean_score,
                "label": row.change.label,
                "excerpt": row.excerpt,
            }
            for row in page.changes
        ],
        "groups": [
            {"name": one.name, "total": one.total, "passed": one.passed, "accepted": one.accepted}
            for one, _links in page.groups
        ],
    }


def _waterfall(page: GatePage) -> list[dict[str, Any]]:
    """As on the page; `lost` went at this step, `hits` with those that earlier steps had taken."""
    ahead = page.waterfall[: len(page.waterfall) - len(page.steps) - 1]
    steps = [_step(label, count) for label, count, _href, _losses in ahead]
    steps += [_step(one.label, one.count, one.lost, one.hits) for one in page.steps]
    label, count, _href, _losses = page.waterfall[-1]
    return [*steps, _step(label, count)]


def _step(label: str, count: int, lost: int = 0, hits: int = 0) -> dict[str, Any]:
    return {"label": label, "count": count, "lost": lost, "hits": hits}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    each = outcome.cost_per_accepted_nano
    return {name: getattr(outcome, name) for name in _COUNTS} | {
        "cost_usd": _usd(outcome.cost_nano),
        "cost_per_accepted_usd": _usd(None if each is None else round(each)),
        "agreement": {name: getattr(outcome.agreement, name) for name in _CELLS},
    }


def _reason(row: ReasonRow) -> dict[str, Any]:
    return _named(row.reason) | {"now": row.now, "then": row.then}


def _named(code: Reason) -> dict[str, Any]:
    return {"code": code.value, "label": code.label, "is_flag": code.is_flag}


def _usd(nano: int | None) -> str | None:
    return None if nano is None else f"{Decimal(nano) / NANO:.9f}"
