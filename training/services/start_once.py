"""Start a training unless one is doing exactly this already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from distill.models import Export
from training.logic.spec import TrainSpec
from training.models import TrainingRun
from training.queries.starts import find_same
from training.services.start import start_training, with_whole_path

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def start_once(*, spec: TrainSpec, export: Export, user: User) -> tuple[TrainingRun, bool]:
    """Return the queued training, and whether it is new: an active one of this spec is not.

    Of two requests at once the second waits here until the first one's run is there. Raises what
    `start_training` raises.
    """
    with transaction.atomic():
        Export.objects.select_for_update(no_key=True).only("pk").get(pk=export.pk)
        if same := find_same(export=export, spec=with_whole_path(spec)):
            return same, False
        return start_training(spec=spec, export=export, user=user), True
