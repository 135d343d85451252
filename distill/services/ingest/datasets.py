"""Datasets: made by name, made for a file, deleted with everything in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from distill.logic.errors import ConflictError, InputError
from distill.models import Dataset
from distill.services.ingest.fingerprints import file_sha256

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_BY_COMMAND = "by a command in file form."
MADE_FOR_A_FILE = Q(name__startswith="file-", description__endswith=_BY_COMMAND)
"""The datasets that `dataset_for_file` has made."""


def create_dataset(*, name: str, description: str = "", user: User | None = None) -> Dataset:
    """Make an empty dataset; the name becomes a part of addresses and of file names.

    Raises `InputError` for a name that cannot be one, `ConflictError` where it is taken.
    """
    dataset = Dataset(name=name, description=description.strip(), created_by=user)
    try:
        dataset.clean_fields()
    except ValidationError:
        raise InputError(
            f"{name[:100]!r} cannot be a dataset's name: use up to 100 letters, digits, "
            "hyphens and underscores, without spaces."
        ) from None
    try:
        with transaction.atomic():
            dataset.save(force_insert=True)
    except IntegrityError:
        raise ConflictError(f"There is a dataset {name!r} already. Choose another name.") from None
    return dataset


def dataset_for_file(path: Path) -> Dataset:
    """The dataset that belongs to a file's content: the same one for the same bytes, each time."""
    sha256, _ = file_sha256(path, path.name)
    return Dataset.objects.get_or_create(
        name=f"file-{sha256[:12]}",
        defaults={"description": f"Made for {path.name} {_BY_COMMAND}"},
    )[0]
