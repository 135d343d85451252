"""Who works on a training run or an evaluation: one worker at a time, by a lease.

Every change is a conditional update whose row count is looked at (invariant 6).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from distill.services.runs import TAKEN_OVER, LeaseLostError
from training.models import Evaluation, TrainingRun

LEASE = timedelta(seconds=15)
"""A worker that has not been heard of for so long has lost what it worked on."""

Leased = type[TrainingRun] | type[Evaluation]


def claim(model: Leased, *, pk: int) -> uuid.UUID | None:
    """Take an active one whose worker is not heard of; return the lease's token, None if held."""
    token = uuid.uuid4()
    now = timezone.now()
    claimed = model.objects.filter(_unheld(), pk=pk, state__in=model.ACTIVE).update(
        lease_token=token, heartbeat_at=now
    )
    return token if claimed else None


def claim_patiently(model: Leased, *, pk: int) -> uuid.UUID | None:
    """Claim; one whose worker has just died becomes free within its lease, and is waited for."""
    until = time.monotonic() + LEASE.total_seconds() + 2
    beats = model.objects.filter(pk=pk, state__in=model.ACTIVE).values_list(
        "heartbeat_at", flat=True
    )
    seen = beats.first()
    while (token := claim(model, pk=pk)) is None:
        last = beats.first()
        if last is None or last != seen or time.monotonic() > until:
            return None
        time.sleep(0.5)
    return token


def beat(model: Leased, *, pk: int, token: uuid.UUID, **fields: object) -> str:
    """Renew the lease and write `fields` (never the state); return the state.

    Raises LeaseLostError where another worker has taken it.
    """
    mine = model.objects.filter(pk=pk, lease_token=token)
    if not mine.update(heartbeat_at=timezone.now(), **fields):
        raise LeaseLostError(TAKEN_OVER)
    return str(mine.values_list("state", flat=True).get())


def move(
    model: Leased,
    *,
    pk: int,
    token: uuid.UUID,
    since: Sequence[str],
    to: str,
    **fields: object,
) -> bool:
    """Move the state on from one of `since`; False where somebody moved it, or the lease, first."""
    mine = model.objects.filter(pk=pk, lease_token=token, state__in=since)
    return bool(mine.update(state=to, heartbeat_at=timezone.now(), **fields))


@contextmanager
def holding(model: Leased, *, pk: int, token: uuid.UUID) -> Iterator[None]:
    """One transaction during which it cannot be taken over.

    Raises LeaseLostError, before anything is written, where it has been.
    """
    with transaction.atomic():
        mine = model.objects.select_for_update(no_key=True).filter(pk=pk, lease_token=token)
        if not list(mine.values_list("id", flat=True)):
            raise LeaseLostError(TAKEN_OVER)
        yield


def release(model: Leased, *, pk: int, token: uuid.UUID, **fields: object) -> bool:
    """End this worker's part; `fields` are written with it, such as an ended state.

    An ended state sets `finished_at`. False where the lease was lost: then nothing is written.
    """
    if "state" in fields and fields["state"] not in model.ACTIVE:
        fields.setdefault("finished_at", timezone.now())
    mine = model.objects.filter(pk=pk, lease_token=token)
    return bool(mine.update(lease_token=None, **fields))


def stale_ids(model: Leased) -> list[int]:
    """Return the active ones that no worker holds, oldest first."""
    found = model.objects.filter(_unheld(), state__in=model.ACTIVE).order_by("id")
    return list(found.values_list("id", flat=True))


def is_held(row: TrainingRun | Evaluation) -> bool:
    """Say whether a worker works on it, as far as its row tells."""
    if row.lease_token is None or row.heartbeat_at is None:
        return False
    return row.heartbeat_at > timezone.now() - LEASE


def _unheld() -> Q:
    return Q(lease_token=None) | Q(heartbeat_at__lt=timezone.now() - LEASE)
