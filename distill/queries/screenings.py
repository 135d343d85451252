"""Screenings: what one reads of an export's completions, and what pages show of its findings."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from django.db.models import QuerySet

from distill.logic.reasons import Reason
from distill.logic.recipe import default_recipe
from distill.logic.screening import ScreeningConfig
from distill.models import Completion, Dataset, Label, Run, Sample, Screening, ScreeningFinding

Ids = npt.NDArray[np.int64]

_BATCH = 5_000
_TEXTS = 500
_NO_SCORE = -1.0
_AROUND = 120
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Ranked:
    """Completions in their rank, the best first; the place in these columns is what names one."""

    completions: Ids
    samples: Ids
    is_train: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.completions)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a completion was asked."""

    passage: str
    instruction: str
    template_name: str


_NO_PROMPT = Prompt("", "", "")


def screening_config(dataset: Dataset) -> ScreeningConfig:
    """That of the dataset's newest run's recipe, else the default."""
    run = Run.objects.filter(dataset=dataset).select_related("recipe").order_by("-pk").first()
    return (run.recipe.content if run else default_recipe()).screening


def rank(ids: Sequence[int] | array[int]) -> Ranked:
    """The completions in the order of `queries.eligible`, held-out ones before those to train on.

    A person accepted it, then the higher mean score, then the later attempt, then the key: nothing
    of a database. What is held out comes first, so that of two copies it is the one that stays.
    """
    dtype = [("id", "i8"), ("sample", "i8"), ("is_train", "?"), ("is_worse", "?")]
    dtype += [("score", "f8"), ("attempt", "i4"), ("key", "S32")]
    rows = np.fromiter(_standings(ids), dtype=np.dtype(dtype))
    order = np.lexsort(
        (rows["key"], -rows["attempt"], -rows["score"], rows["is_worse"], rows["is_train"])
    )
    rows = rows[order]
    return Ranked(rows["id"].copy(), rows["sample"].copy(), rows["is_train"].copy())


def read_prompts(completions: Sequence[int]) -> list[Prompt]:
    """What each of the completions was asked, in their order."""
    found = Completion.objects.filter(pk__in=completions)
    rows = found.values_list("pk", "sample__text", "sample__instruction", "template_name")
    by_id = {pk: Prompt(*told) for pk, *told in rows}
    # Deleted meanwhile: it goes with its dataset.
    return [by_id.get(pk, _NO_PROMPT) for pk in completions]


def read_answers(completions: Sequence[int]) -> list[str]:
    """What each of the completions says in its fields, as people edited it; else the whole answer."""
    found = Completion.objects.filter(pk__in=completions)
    rows = found.values_list("pk", "text", "fields", "label__decision__fields")
    by_id = {
        pk: "\n".join(map(str, (edited or fields).values())) or text
        for pk, text, fields, edited in rows
    }
    return [by_id.get(pk, "") for pk in completions]


def held_out_passages(dataset: Dataset) -> Iterator[tuple[list[str], list[str]]]:
    """The passages of its validation and test samples and the names of their splits, in batches."""
    held_out = Sample.objects.filter(dataset=dataset).exclude(split=Sample.Split.TRAIN)
    rows = held_out.order_by("pk").values_list("text", "split").iterator(chunk_size=_TEXTS)
    while batch := list(islice(rows, _TEXTS)):
        yield [text for text, _ in batch], [f"{split} split" for _, split in batch]


def _standings(ids: Sequence[int] | array[int]) -> Iterator[tuple[object, ...]]:
    for start in range(0, len(ids), _BATCH):
        found = Completion.objects.filter(pk__in=list(ids[start : start + _BATCH]))
        names = ("pk", "sample", "sample__split", "label__outcome", "state_row__mean_score")
        for pk, sample, split, outcome, score, attempt, key in found.values_list(
            *names, "attempt", "key"
        ).order_by():
            is_worse = outcome != Label.Outcome.ACCEPTED
            yield (
                *(pk, sample, split == Sample.Split.TRAIN, is_worse),
                *(_NO_SCORE if score is None else score, attempt, key.encode()),
            )


# --- pages ---


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many findings of a reason there are in a screening."""

    reason: Reason
    num_dropped: int
    num_flagged: int


def find_screening(dataset: Dataset, number: str = "") -> Screening | None:
    """The dataset's screening of this number, else its newest one."""
    screenings = dataset.screenings.all()
    if number.isdecimal() and len(number) < 19:
        return screenings.filter(pk=int(number)).first()
    return screenings.first()


def count_reasons(screening: Screening) -> list[ReasonCount]:
    """By reason, in the order of the vocabulary; those without a finding are left out."""
    dropped, flagged = screening.counts["dropped"], screening.counts["flagged"]
    return [
        ReasonCount(reason, dropped.get(reason, 0), flagged.get(reason, 0))
        for reason in Reason
        if reason in dropped or reason in flagged
    ]


def findings_of(screening: Screening, reason: str = "") -> QuerySet[ScreeningFinding]:
    """Its findings, with both completions and their samples."""
    found = screening.findings.select_related("completion__sample", "other__sample")
    return found.filter(reason=reason) if reason in list(Reason) else found


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a text around what matched; without a match, how it begins."""

    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding with both texts, as far as they are shown; `theirs` of what is kept or held out."""

    finding: ScreeningFinding
    reason: Reason
    mine: Excerpt
    theirs: Excerpt


def show_finding(finding: ScreeningFinding) -> ShownFinding:
    """The finding, with the matched words in their places in both texts."""
    reason, matched = Reason(finding.reason), finding.matched_text
    mine = _excerpt(_texts(finding.completion, reason), matched)
    if finding.other is None:
        theirs = Excerpt("", matched, "")
    else:
        theirs = _excerpt(_texts(finding.other, reason), matched)
    return ShownFinding(finding, reason, mine, theirs)


def _texts(completion: Completion, reason: Reason) -> list[str]:
    """What the search compared: the passage, the answer, or either."""
    passage = completion.sample.text
    answer = "\n".join(map(str, completion.fields.values())) or completion.text
    if reason == Reason.DUPLICATE_PROMPT:
        return [passage]
    return [answer] if reason == Reason.DUPLICATE_PAIR else [passage, answer]


def _excerpt(texts: list[str], matched: str) -> Excerpt:
    # Words are kept without the signs between them.
    words = r"[\W_]+".join(map(re.escape, re.findall(r"[^\W_]+", matched)))
    for text in texts if words else []:
        found = re.search(words, text, re.IGNORECASE)
        if found:
            start, end = found.span()
            before = text[max(0, start - _AROUND) : start]
            return Excerpt(before, found[0][:_SHOWN], text[end : end + _AROUND])
    return Excerpt("", "", texts[0][:_SHOWN])
