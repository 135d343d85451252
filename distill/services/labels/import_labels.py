"""Take in what people decided elsewhere.

A line is tied to its completion by the keys of both, which are the same on every machine. What the
dataset does not hold yet is made from the file itself, as an import of it. Decisions are recorded
once, under inactive accounts named after the pseudonyms; importing the file again adds nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import InputError
from distill.logic.label_lines import LabelledDecision, LabelLineError
from distill.models import Completion, CompletionState, Dataset, Decision, SourceFile
from distill.queries.label_lines import pseudonym
from distill.services.ingest import Problem, fill_source_file, open_source_file
from distill.services.labels.read import TiedLabel, label_form, read_labels
from distill.services.labels.reviewers import reviewer_named
from distill.services.relabel import relabel

_BATCH = 500
_NAMESPACE = uuid.UUID("6f1c5a0e-5d0b-4c7b-9a43-6c6162656c73")

_Key = tuple[str, str]
_Found = tuple[TiedLabel, int]


@dataclass(slots=True)
class ImportedLabels:
    """What became of the lines. `overruled` decisions were followed by a later one of the same
    person; `refused` are lines, with number and reason."""

    num_lines: int = 0
    num_recorded: int = 0
    num_known: int = 0
    num_overruled: int = 0
    refused: list[Problem] = field(default_factory=list)


def import_labels(
    *,
    dataset: Dataset,
    path: Path,
    src: Path | None = None,
    on_progress: Callable[[ImportedLabels], None] | None = None,
) -> ImportedLabels:
    """Record the decisions of a label file on the dataset's completions.

    `src` is the table that old labels name rows of; it is imported first. Lines that cannot be used
    are refused one by one, the others kept. Raises InputError where the file is no label file, or
    not one line of it can be used.
    """
    labels = read_labels(path, src=src)
    if src is not None:
        _ingest(dataset, src)
    imported = ImportedLabels()
    reasons: dict[int, str] | None = None
    while batch := list(islice(labels, _BATCH)):
        imported.num_lines += len(batch)
        imported.refused += [one for one in batch if isinstance(one, Problem)]
        tied = [one for one in batch if isinstance(one, TiedLabel)]
        found, missing = _find(dataset, tied)
        if missing and reasons is None and src is None and label_form(path) == "lines":
            reasons = _ingest(dataset, path)
            found, missing = _find(dataset, tied)
        imported.refused += [_not_there(label, reasons or {}) for label in missing]
        _record(_fitting(found, imported), imported)
        if on_progress:
            on_progress(imported)
    if imported.num_lines == len({problem.line for problem in imported.refused}):
        raise InputError(_nothing_useful(path, imported))
    return imported


def _ingest(dataset: Dataset, path: Path) -> dict[int, str]:
    """Import the file's samples and answers; return why lines of it were refused."""
    file = open_source_file(dataset=dataset, path=path, name=path.name)
    if file.state != SourceFile.State.DONE:
        fill_source_file(source_file=file, path=path)
    return dict(file.refused_rows.values_list("line", "message"))


def _find(dataset: Dataset, labels: Sequence[TiedLabel]) -> tuple[list[_Found], list[TiedLabel]]:
    """The labels with their completions, and those whose completion the dataset does not hold."""
    candidates = Completion.objects.filter(
        sample__dataset=dataset,
        sample__key__in={label.sample_key for label in labels},
        key__in={label.completion_key for label in labels},
        state_row__dataset=dataset,
    )
    ids: dict[_Key, int] = {
        (sample_key, key): pk
        for pk, sample_key, key in candidates.values_list("id", "sample__key", "key")
    }
    keyed = [(label, ids.get((label.sample_key, label.completion_key))) for label in labels]
    found = [(label, pk) for label, pk in keyed if pk is not None]
    return found, [label for label, pk in keyed if pk is None]


def _fitting(found: Sequence[_Found], imported: ImportedLabels) -> list[_Found]:
    """Without the lines whose edit has other fields than the answer; those are refused."""
    edits = {pk for label, pk in found if any(one.edited for one in label.decisions)}
    names: dict[int, set[str]] = {
        pk: set(fields)
        for pk, fields in Completion.objects.filter(pk__in=edits).values_list("pk", "fields")
    }
    kept = []
    for label, pk in found:
        if all(set(one.edited) == names[pk] for one in label.decisions if one.edited):
            kept.append((label, pk))
        else:
            message = f"Its edit must give each field of the answer: {', '.join(names[pk])}."
            imported.refused.append(Problem(label.line, "edited", message))
    return kept


def _not_there(label: TiedLabel, reasons: dict[int, str]) -> Problem:
    message = reasons.get(label.line, "Its completion is not in the dataset.")
    return Problem(label.line, "completion_id", message)


def _nothing_useful(path: Path, imported: ImportedLabels) -> str:
    if not imported.refused:
        return f"{path.name} holds no labels."
    first = min(imported.refused, key=lambda problem: problem.line)
    count = f"none of its {imported.num_lines:,} lines can be used"
    return f"{path.name}: {count}. Line {first.line}: {first.message}"


# --- decisions ---


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A decision of the file, the line that it is from, and its completion."""

    line: int
    completion_id: int
    decision: LabelledDecision

    @property
    def client_id(self) -> uuid.UUID:
        """The same for the same decision on the same completion, whichever file it comes from."""
        one = self.decision
        parts = (str(self.completion_id), one.reviewer, one.kind, one.decided_at.isoformat())
        return uuid.uuid5(_NAMESPACE, "\x1f".join(parts))


def _record(found: Sequence[_Found], imported: ImportedLabels) -> None:
    """Record the decisions of a batch, each completion's in the order in which they were made."""
    users = _users(found, imported)
    wanted = sorted(
        (
            _Wanted(label.line, completion_id, decision)
            for label, completion_id in found
            for decision in label.decisions
            if decision.reviewer in users
        ),
        key=lambda one: (one.completion_id, one.decision.decided_at, one.line),
    )
    with transaction.atomic():
        before = _decisions_before({one.completion_id for one in wanted})
        decided = [
            decision
            for one in wanted
            for decision in _decide(one, users[one.decision.reviewer], before, imported)
        ]
        # What takes another back is stored after it, also where both are new.
        Decision.objects.bulk_create(one for one in decided if one.undoes is None)
        Decision.objects.bulk_create(one for one in decided if one.undoes is not None)
        for completion_id in sorted({one.completion_id for one in decided}):
            relabel(completion_id=completion_id)


def _users(found: Iterable[_Found], imported: ImportedLabels) -> dict[str, User]:
    """The accounts of the pseudonyms; lines of one that cannot be used are refused."""
    users: dict[str, User] = {}
    refused: dict[str, str] = {}
    for label, _ in found:
        for name in {decision.reviewer for decision in label.decisions}:
            if name not in users and name not in refused:
                try:
                    users[name] = reviewer_named(name)
                except LabelLineError as error:
                    refused[name] = str(error)
            if name in refused:
                imported.refused.append(Problem(label.line, "reviewer", refused[name]))
    return users


def _decisions_before(completion_ids: set[int]) -> dict[int, list[Decision]]:
    """What was decided of the completions so far, for its label; under their locks."""
    states = CompletionState.objects.select_for_update().filter(pk__in=completion_ids)
    list(states.order_by("pk").values_list("pk"))
    decisions = Decision.objects.filter(completion__in=completion_ids, kind__in=Decision.VERDICTS)
    found: dict[int, list[Decision]] = defaultdict(list)
    for decision in decisions.select_related("reviewer", "undone_by").order_by("id"):
        found[decision.completion_id].append(decision)
    return found


def _decide(
    wanted: _Wanted, user: User, before: dict[int, list[Decision]], imported: ImportedLabels
) -> list[Decision]:
    """The decision, where it is not known yet, and what takes the same person's last one back."""
    one = wanted.decision
    own = [
        decision
        for decision in before[wanted.completion_id]
        if pseudonym(decision.reviewer) == one.reviewer
    ]
    if any((known.kind, known.created_at) == (one.kind, one.decided_at) for known in own):
        imported.num_known += 1
        return []
    if any(known.created_at > one.decided_at or known.reviewer_id != user.pk for known in own):
        # They decided anew since; or they work here, and this site knows what they decided.
        imported.num_overruled += 1
        return []
    undos = [_undo(known) for known in own if not hasattr(known, "undone_by")]
    decision = _decision(wanted, user)
    before[wanted.completion_id].append(decision)
    imported.num_overruled += len(undos)
    imported.num_recorded += 1
    return [decision, *undos]


def _decision(wanted: _Wanted, user: User) -> Decision:
    one = wanted.decision
    return Decision(
        completion_id=wanted.completion_id,
        reviewer=user,
        kind=one.kind,
        reasons=[reason.value for reason in one.reasons],
        note=one.note,
        client_id=wanted.client_id,
        judge_seen=one.judge_seen,
        required_reviews=one.required_reviews,
        is_legacy=one.is_legacy,
        is_adjudication=one.is_adjudication,
        fields=dict(one.edited) if one.edited else None,
        created_at=one.decided_at,
    )


def _undo(decision: Decision) -> Decision:
    return Decision(
        completion_id=decision.completion_id,
        reviewer_id=decision.reviewer_id,
        kind=Decision.Kind.UNDO,
        undoes=decision,
        client_id=uuid.uuid5(_NAMESPACE, f"undo {decision.client_id}"),
    )
