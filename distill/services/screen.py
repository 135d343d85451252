"""Search what an export would take for copies and for held-out text.

1. Held-out text. A training completion whose passage or answer shares a run of 13 words with a
   held-out *passage* is dropped, with 8 it is flagged. Held out are the validation and test samples
   of the same dataset, and the files that the operator gives. Their answers are not compared: what
   teachers write has phrases of its own ("Prepare three replicates of …") that leak nothing. Nor are
   other datasets' samples: a source stands in the same split everywhere, and what they evaluate is
   not trained on here; who wants that gives their file.
2. Prompts. Two samples are copies where passages are and template and instruction are the same:
   another question about a passage is another prompt. Of copies the best sample is kept, with all
   its draws: several answers to one prompt are wanted.
3. Pairs. Of the answers to one prompt, copies of a better one are dropped. Equal answers to
   different prompts are no copies of each other as pairs.

Held-out text goes first, and of copies the held-out one is kept: so a passage that stands on both
sides is taken from the training side.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction

from distill.logic.contamination import common_words
from distill.logic.duplicates import Copy, find_copies, join, sketch
from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.screening import Finding, ScreeningConfig
from distill.logic.shingles import Hashes, hash_text
from distill.models import Dataset, Screening, ScreeningFinding
from distill.queries.screenings import (
    Ids,
    Prompt,
    Ranked,
    rank,
    read_answers,
    read_prompts,
    screening_config,
)
from distill.services.held_out import find_contaminated, held_out_files
from distill.services.ingest.fingerprints import file_sha256
from distill.services.rows import insert_rows

_BATCH = 1_000
_SHOWN_CHARACTERS = 400
_FIELDS = (
    *("screening_id", "completion_id", "reason", "is_dropped", "other_id", "held_out"),
    *("similarity", "matched_text"),
)


@dataclass(frozen=True, slots=True)
class Screened:
    """A screening, and the completions that it leaves, in the order in which they were given."""

    screening: Screening
    kept: array[int]

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of it: nothing of a database."""
        counts = self.screening.counts
        return {
            "settings": self.screening.settings["recipe"],
            "searched": {
                "completions": counts["searched"],
                "files": [file["name"] for file in self.screening.settings["files"]],
            },
            "dropped": counts["dropped"],
            "flagged": counts["flagged"],
        }


def screen(
    *,
    dataset: Dataset,
    policy: str,
    ids: Sequence[int] | array[int],
    against: Sequence[Path] = (),
) -> Screened:
    """Search these completions of the dataset, and note what was found.

    `against` are files with held-out text, beside those in the data folder's `decontamination`. The
    same completions, settings and files give the same findings, whatever the order: where they are
    stored already, that screening is returned and nothing is written. Raises InputError where a file
    cannot be read, or the dataset is deleted meanwhile.
    """
    config = screening_config(dataset)
    files = held_out_files(against) if config.contamination else []
    ranked = rank(ids)
    findings = list(_search(dataset, config, files, ranked))
    dropped = {finding.place for finding in findings if finding.is_dropped}
    dropped_ids = {int(ranked.completions[place]) for place in dropped}
    told = {
        "recipe": config.model_dump(mode="json"),
        "files": [_describe(file) for file in files],
    }
    with transaction.atomic():
        if not Dataset.objects.select_for_update().filter(pk=dataset.pk).first():
            raise InputError(f"The dataset “{dataset}” has been deleted meanwhile.")
        screening = _keep(
            Screening(dataset=dataset, policy=policy, settings=told), ranked, findings
        )
    return Screened(screening, array("q", (pk for pk in ids if pk not in dropped_ids)))


def contaminated_ids(*, dataset: Dataset, ids: array[int]) -> frozenset[int]:
    """Those of the completions that would be dropped for words in common with held-out text."""
    config = screening_config(dataset)
    files = held_out_files() if config.contamination else []
    ranked = rank(ids)
    found = find_contaminated(dataset=dataset, config=config, files=files, ranked=ranked)
    return frozenset(int(ranked.completions[one.place]) for one in found if one.is_dropped)


def why_all_dropped(screened: Screened) -> str:
    """Say that nothing is left, for which reasons, and what to do."""
    dropped = screened.screening.counts["dropped"]
    reasons = ", ".join(f"{num:,} × “{Reason(reason).label}”" for reason, num in dropped.items())
    return (
        f"Nothing of “{screened.screening.dataset}” can be exported: all that is eligible was left "
        f"out by the screening ({reasons}). Look at what was found on the dataset's page "
        "“Screening”, then change the recipe's `screening`, or what it is held against."
    )


def _search(
    dataset: Dataset, config: ScreeningConfig, files: Sequence[Path], ranked: Ranked
) -> Iterator[Finding]:
    left = np.ones(len(ranked), dtype=bool)
    for finding in find_contaminated(dataset=dataset, config=config, files=files, ranked=ranked):
        left[finding.place] = not finding.is_dropped
        yield finding
    if config.duplicate_prompts or config.duplicate_pairs:
        yield from _duplicates(config, ranked, np.flatnonzero(left))


# --- copies ---


def _duplicates(config: ScreeningConfig, ranked: Ranked, places: Ids) -> Iterator[Finding]:
    _, firsts = np.unique(ranked.samples[places], return_index=True)
    best = places[np.sort(firsts)]  # each sample's best completion, in rank
    copies, near = _copies(config, best, lambda some: _prompts(ranked, some))
    leaders = {int(ranked.samples[place]): int(place) for place in best}
    copy_of = {int(ranked.samples[copy.place]): copy for copy in copies}
    leaders |= {sample: copy.kept for sample, copy in copy_of.items()}
    if config.duplicate_prompts:
        for place in places.tolist():
            copy = copy_of.get(int(ranked.samples[place]))
            if copy is not None:
                yield _copied(Copy(place, copy.kept, copy.similarity), Reason.DUPLICATE_PROMPT)
        for copy in near:
            yield _copied(copy, Reason.DUPLICATE_PROMPT, is_dropped=False)
    if config.duplicate_pairs:
        left = [
            place
            for place in places.tolist()
            if not config.duplicate_prompts or int(ranked.samples[place]) not in copy_of
        ]
        yield from _duplicate_pairs(config, ranked, left, leaders)


def _duplicate_pairs(
    config: ScreeningConfig, ranked: Ranked, places: list[int], leaders: dict[int, int]
) -> Iterator[Finding]:
    """Copies among the answers to one prompt; a prompt with one answer costs nothing."""
    group_of = {place: leaders[int(ranked.samples[place])] for place in places}
    sizes = Counter(group_of.values())
    several = np.array([one for one in places if sizes[group_of[one]] > 1], dtype=np.int64)

    def read(some: Ids) -> tuple[list[str], Hashes]:
        groups = np.array([hash_text(str(group_of[one])) for one in some.tolist()], dtype=np.uint64)
        return read_answers(ranked.completions[some].tolist()), groups

    copies, near = _copies(config, several, read)
    for copy in copies:
        yield _copied(copy, Reason.DUPLICATE_PAIR)
    for copy in near:
        yield _copied(copy, Reason.DUPLICATE_PAIR, is_dropped=False)


def _prompts(ranked: Ranked, places: Ids) -> tuple[list[str], Hashes]:
    prompts = read_prompts(ranked.completions[places].tolist())
    groups = np.array([hash_text(_question(one)) for one in prompts], dtype=np.uint64)
    return [one.passage for one in prompts], groups


def _question(prompt: Prompt) -> str:
    return f"{prompt.template_name}\n{' '.join(prompt.instruction.casefold().split())}"


def _copies(
    config: ScreeningConfig, places: Ids, read: Callable[[Ids], tuple[list[str], Hashes]]
) -> tuple[list[Copy], list[Copy]]:
    """Copies among the texts of these places, by places in the ranking."""
    if not len(places):
        return [], []
    lowest = config.lowest_similarity
    sketches = join([sketch(*read(some), threshold=lowest) for some in _batches(places)])
    found = find_copies(
        sketches,
        lambda some: read(places[np.array(some)])[0],
        threshold=config.max_similarity,
        flag_above=config.flag_above,
    )
    copies, near = (
        [Copy(int(places[one.place]), int(places[one.kept]), one.similarity) for one in some]
        for some in found
    )
    return copies, near


def _copied(copy: Copy, reason: Reason, *, is_dropped: bool = True) -> Finding:
    return Finding(
        copy.place, reason, is_dropped, other=copy.kept, similarity=round(copy.similarity, 4)
    )


# --- what is kept of it ---


def _describe(file: Path) -> dict[str, object]:
    sha256, size = file_sha256(file, file.name)
    return {"name": file.name, "sha256": sha256, "bytes": size}


def _keep(made: Screening, ranked: Ranked, findings: list[Finding]) -> Screening:
    dropped = {finding.place for finding in findings if finding.is_dropped}
    made.counts = {
        "searched": len(ranked),
        "kept": len(ranked) - len(dropped),
        "dropped": _count(findings, is_dropped=True),
        "flagged": _count(findings, is_dropped=False),
        "sha256": _digest(ranked, findings),
    }
    same = Screening.objects.filter(
        dataset=made.dataset, policy=made.policy, settings=made.settings, counts=made.counts
    ).first()
    if same is not None:
        return same
    made.save()
    for start in range(0, len(findings), _BATCH):
        rows = _rows(made, ranked, findings[start : start + _BATCH])
        insert_rows(ScreeningFinding, _FIELDS, rows)
    return made


def _rows(
    screening: Screening, ranked: Ranked, findings: list[Finding]
) -> Iterator[tuple[Any, ...]]:
    ids = ranked.completions
    matched = _matched(ranked, findings)
    for place, finding in enumerate(findings):
        other = None if finding.other is None else int(ids[finding.other])
        yield (
            *(screening.pk, int(ids[finding.place]), finding.reason.value, finding.is_dropped),
            *(other, finding.held_out, finding.similarity, matched[place]),
        )


def _matched(ranked: Ranked, findings: list[Finding]) -> list[str]:
    """What each finding's texts have in common, as far as it is shown."""
    matched = [finding.matched_text for finding in findings]
    for reason, read in (
        (Reason.DUPLICATE_PROMPT, lambda some: [one.passage for one in read_prompts(some)]),
        (Reason.DUPLICATE_PAIR, read_answers),
    ):
        numbers = [number for number, one in enumerate(findings) if one.reason == reason]
        mine = read([int(ranked.completions[findings[one].place]) for one in numbers])
        others = read([int(ranked.completions[findings[one].other or 0]) for one in numbers])
        for number, text, other in zip(numbers, mine, others, strict=True):
            matched[number] = _in_common(text, other, findings[number].similarity)
    return matched


def _in_common(text: str, other: str, similarity: float | None) -> str:
    if similarity == 1:
        # Everything: a million equal texts need no search.
        return " ".join(re.findall(r"\w+", text[:_SHOWN_CHARACTERS])).casefold()
    return common_words(text, other)[0]


def _digest(ranked: Ranked, findings: list[Finding]) -> str:
    """Of the findings and of what was searched, whatever the order."""
    digest = hashlib.sha256(np.sort(ranked.completions).tobytes())
    for one in findings:
        other = None if one.other is None else int(ranked.completions[one.other])
        told = (int(ranked.completions[one.place]), one.reason.value, one.is_dropped, other)
        digest.update(repr((*told, one.held_out)).encode())
    return digest.hexdigest()


def _count(findings: list[Finding], *, is_dropped: bool) -> dict[str, int]:
    counted = Counter(one.reason for one in findings if one.is_dropped == is_dropped)
    return {reason.value: counted[reason] for reason in Reason if counted[reason]}


def _batches(places: Ids) -> Iterator[Ids]:
    for start in range(0, len(places), _BATCH):
        yield places[start : start + _BATCH]
