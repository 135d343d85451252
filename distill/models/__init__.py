"""Everything the product remembers. Immutable rows and narrow state rows are kept apart."""

from __future__ import annotations

from distill.models.completion import (
    Completion,
    CompletionState,
    Judgement,
    SampleDraw,
    Verdict,
)
from distill.models.dataset import Dataset, RefusedRow, Sample, SourceFile
from distill.models.decision import Decision, Label
from distill.models.export import Export, ExportedCompletion
from distill.models.ledger import Call, Purchase, Reply
from distill.models.price import PriceList
from distill.models.run import Recipe, Run, RunEvent
from distill.models.screening import Screening, ScreeningFinding
from distill.models.shift import Chunk, RunReading, Shift

__all__ = [
    "Call",
    "Chunk",
    "Completion",
    "CompletionState",
    "Dataset",
    "Decision",
    "Export",
    "ExportedCompletion",
    "Judgement",
    "Label",
    "PriceList",
    "Purchase",
    "Recipe",
    "RefusedRow",
    "Reply",
    "Run",
    "RunEvent",
    "RunReading",
    "Sample",
    "SampleDraw",
    "Screening",
    "ScreeningFinding",
    "Shift",
    "SourceFile",
    "Verdict",
]
