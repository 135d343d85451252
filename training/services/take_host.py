"""Begin a training or an evaluation on this host, if there is room for one more process."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from distill.services.runs import TAKEN_OVER, LeaseLostError
from training.launcher import look
from training.logic.layout import ProcessLayout
from training.models import Evaluation, TrainingRun
from training.services import lease


def this_host() -> str:
    """The name by which this host's processes are known."""
    return socket.gethostname()[:255]


def take_host(model: lease.Leased, *, pk: int, token: uuid.UUID, to: str, **fields: object) -> str:
    """Move a queued one on to the state `to`, on this host; return an empty text.

    Where GPU_WORKERS others are at work here, it stays queued with a message that names them, which
    is returned. Raises LeaseLostError where it is not queued, or the lease is lost.
    """
    host = this_host()
    with transaction.atomic():
        _let_one_at_a_time(host)
        busy = _at_work(host, besides=(model, pk))
        if len(busy) >= settings.GPU_WORKERS:
            message = f"Waits for {' and '.join(busy)} on {host}."
            lease.beat(model, pk=pk, token=token, message=message)
            return message
        queued = [model.State.QUEUED]
        if not lease.move(
            model, pk=pk, token=token, since=queued, to=to, host=host, message="", **fields
        ):
            raise LeaseLostError(TAKEN_OVER)
    return ""


def _let_one_at_a_time(host: str) -> None:
    """Until this transaction ends: what is counted here must not change before it is acted on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"trainings on {host}"])


def _at_work(host: str, *, besides: tuple[lease.Leased, int]) -> list[str]:
    """Those that hold this host's device, or are about to."""
    rows: list[TrainingRun | Evaluation] = [
        *TrainingRun.objects.filter(host=host, state__in=[*TrainingRun.ACTIVE[1:]]).order_by("id"),
        *Evaluation.objects.filter(host=host, state=Evaluation.State.ANSWERING).order_by("id"),
    ]
    others = [row for row in rows if (type(row), row.pk) != besides]
    return [str(row) for row in others if _is_at_work(row)]


def _is_at_work(row: TrainingRun | Evaluation) -> bool:
    layout = ProcessLayout(Path(settings.DATA_DIR) / row.folder)
    return lease.is_held(row) or look(layout).is_alive
