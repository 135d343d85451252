"""What the rows of an export come to: counted while they are written, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MOST_NAMED = 20
"""So many licences are named; a file may hold as many different ones as it has rows."""

_NO_LABEL = "none"


class ExportFacts:
    """Adds rows up; what it gives depends on the rows alone, not on their order."""

    def __init__(self) -> None:
        self._teachers: set[str] = set()
        self._judges: set[str] = set()
        self._labels: Counter[str] = Counter()
        self._licenses: Counter[str] = Counter()
        self._tokens = {"prompt": 0, "completion": 0}
        self._nano = 0
        self._num_unpriced = 0

    def counting(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Hand the rows on, each counted."""
        for row in rows:
            self.add(row)
            yield row

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of `logic.sft`."""
        self._teachers.add(row["teacher"])
        self._judges.update(row["judge_models"])
        self._labels[row["label_basis"] or _NO_LABEL] += 1
        if row["source_license"] is not None:
            self._licenses[row["source_license"]] += 1
        self._tokens["prompt"] += row["prompt_tokens"] or 0
        self._tokens["completion"] += row["completion_tokens"] or 0
        if row["cost_usd"] is None:
            self._num_unpriced += 1
        else:
            self._nano += round(row["cost_usd"] * 1e9)

    def as_manifest(self) -> dict[str, Any]:
        """The entries of a manifest: teachers, judges, labels by basis, licences, tokens, cost.

        The cost is in USD, of those rows whose price is known; `num_unpriced` are the others.
        """
        return {
            "teachers": sorted(self._teachers),
            "judges": sorted(self._judges),
            "labels": dict(sorted(self._labels.items())),
            "source_licenses": self._named_licenses(),
            "tokens": dict(self._tokens),
            "cost": {"usd": self._nano / 1e9, "num_unpriced": self._num_unpriced},
        }

    def _named_licenses(self) -> list[dict[str, Any]]:
        ordered = sorted(self._licenses.items(), key=lambda pair: (-pair[1], pair[0]))
        return [{"license": name, "rows": count} for name, count in ordered[:MOST_NAMED]]
