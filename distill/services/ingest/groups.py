"""Which group a row belongs to, so that no document and no passage stands in two splits.

A row belongs to the group of its text, else of its document, else it begins one. What is known of
the dataset lies in a temporary table, not in memory. A row whose text and whose document stand in
two splits already has no place: it is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice

from django.db import connection

from distill.logic.samples import SampleDraft, text_key
from distill.logic.split import source_group, split_of
from distill.models import Dataset, Sample
from distill.services.ingest.preview import Problem
from distill.services.ingest.store import PlacedDraft

_BATCH = 2000


def make_table(dataset: Dataset) -> None:
    """Make this connection's temporary table and put in what the dataset holds already."""
    drop_table()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE import_group (name bytea PRIMARY KEY, group_key text)"
        )
    known = Sample.objects.filter(dataset=dataset).order_by("pk")
    rows = known.values_list("source_key", "text", "group_key").iterator(chunk_size=_BATCH)
    while batch := list(islice(rows, _BATCH)):
        groups = {
            name: group_key
            for source_key, text, group_key in reversed(batch)
            for name in _names(source_key, text)
        }
        before = _known(set(groups))
        _remember({name: group for name, group in groups.items() if name not in before})


def drop_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_group")


def place(rows: Iterable[tuple[int, SampleDraft]]) -> tuple[list[PlacedDraft], list[Problem]]:
    """Give each row its group and split."""
    named = [(line, draft, _names(draft.source_key, draft.text)) for line, draft in rows]
    known = _known({name for _, _, names in named for name in names})
    before = dict(known)
    placed: list[PlacedDraft] = []
    problems: list[Problem] = []
    for line, draft, names in named:
        groups = [known[name] for name in names if name in known]
        if len({split_of(group) for group in groups}) > 1:
            problems.append(_two_splits(line, draft))
            continue
        group = groups[0] if groups else source_group(_own_name(draft))
        for name in names:
            known.setdefault(name, group)
        placed.append(PlacedDraft(line, draft, group, split_of(group)))
    _remember({name: group for name, group in known.items() if name not in before})
    return placed, problems


def _names(source_key: str, text: str) -> tuple[bytes, ...]:
    """The text first: it decides."""
    by_text = _hash("text", source_group(text))
    if source_key == text_key(text):
        return (by_text,)
    return by_text, _hash("source", source_group(source_key))


def _own_name(draft: SampleDraft) -> str:
    return draft.text if draft.source_key == text_key(draft.text) else draft.source_key


def _two_splits(line: int, draft: SampleDraft) -> Problem:
    return Problem(
        line,
        "source_key",
        f"Its text stands in another document already, and {draft.source_key!r} is in another "
        "split than that: kept, it would leak from one split into the other.",
        draft.text[:200],
    )


def _hash(kind: str, name: str) -> bytes:
    return hashlib.blake2b(f"{kind}:{name}".encode(), digest_size=16).digest()


def _known(names: set[bytes]) -> dict[bytes, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, group_key FROM import_group WHERE name = ANY(%b)", [list(names)]
        )
        return {bytes(name): group for name, group in cursor.fetchall()}


def _remember(groups: dict[bytes, str]) -> None:
    """Put in groups of names that are not known yet."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY import_group FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["bytea", "text"])
        for row in groups.items():
            copy.write_row(row)
