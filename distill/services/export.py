"""Freeze what is eligible of a dataset as a version on disk, in every form that trainers read.

The same inputs give the same bytes: rows come in the order of sample and draw, nothing holds a
time, a database's id or the version's number. (Parquet's own bytes also depend on the installed
pyarrow; its version is therefore in no file of ours, and `content_sha256` is over the JSON lines.)
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_unicode_slug
from django.db import connection, transaction
from django.db.models import Max

from distill.logic.errors import InputError
from distill.logic.sft_configs import chosen_configs
from distill.models import Dataset, Export, Screening
from distill.queries.eligible import eligible_ids, rejected_ids
from distill.queries.export_manifest import why_nothing
from distill.queries.snapshot import base_content
from distill.services.draft_folder import draft_folder, publish_file, publish_folder
from distill.services.export_files import MANIFEST, write_export_files, write_texts
from distill.services.screen import contaminated_ids, screen, why_all_dropped
from distill.services.verify_export import fault_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FOLDER = Path("processed", "distillation", "exports")
_BATCH = 50_000


def export_dataset(
    *,
    dataset: Dataset,
    policy: str,
    user: User | None = None,
    configs: Sequence[str] = (),
    rows_per_shard: int | None = None,
) -> Export:
    """Write what the policy takes, and return its export: in these configs (`logic.sft_configs`), so
    many rows in a Parquet file at most; what is not said is as the recipe of the dataset's latest
    run has it.

    Left out is what the screening drops (`services.screen`). Where an export of this dataset and
    policy holds the very same rows, that one is returned, its files put back where they are gone or
    changed, and nothing new is kept. Raises InputError where nothing is eligible or left (saying
    why), the disk is full, the dataset's name cannot be a folder, or the dataset is deleted meanwhile.
    """
    recipe = base_content(dataset).export
    wanted = chosen_configs(configs or recipe.configs)
    rows_per_shard = recipe.rows_per_shard if rows_per_shard is None else rows_per_shard
    if rows_per_shard < 1:
        raise InputError("A Parquet file needs one row at least: give more rows per shard.")
    ids = eligible_ids(dataset=dataset, policy=policy)
    if not ids:
        raise InputError(why_nothing(dataset, policy=policy))
    screened = screen(dataset=dataset, policy=policy, ids=ids)
    if not screened.kept:
        raise InputError(why_all_dropped(screened))
    ids = screened.kept
    home = Path(settings.DATA_DIR) / FOLDER / _folder_name(dataset)
    with draft_folder(home) as draft:
        manifest = write_export_files(
            draft,
            dataset=dataset,
            policy=policy,
            ids=ids,
            configs=wanted,
            rows_per_shard=rows_per_shard,
            screening=screened.facts,
            held_out=contaminated_ids(dataset=dataset, ids=rejected_ids(dataset=dataset))
            if {"preference", "rejected"} & set(wanted)
            else frozenset(),
        )
        with transaction.atomic():
            # One version after the other.
            if not Dataset.objects.select_for_update().filter(pk=dataset.pk).first():
                raise InputError(f"The dataset “{dataset}” has been deleted meanwhile.")
            known = dataset.exports.filter(
                policy=policy, content_sha256=manifest["content_sha256"]
            ).first()
            if known is not None:
                return _restored(known, draft)
            export = _create(screened.screening, manifest, home, user)
            _remember(export, ids)
            publish_folder(draft, Path(settings.DATA_DIR) / export.folder)
    return export


def _folder_name(dataset: Dataset) -> str:
    try:
        validate_unicode_slug(dataset.name)
    except ValidationError as error:
        raise InputError(
            f"The dataset's name “{dataset.name}” cannot be a folder's: rename it, using letters, "
            "digits, hyphens and underscores only."
        ) from error
    return dataset.name


def _restored(known: Export, draft: Path) -> Export:
    """The export that holds these rows; what somebody removed or changed of it is put back.

    The card is everybody's to edit: it is written only where it is missing.
    """
    folder = Path(settings.DATA_DIR) / known.folder
    write_texts(draft, known.manifest)
    if not folder.exists():
        publish_folder(draft, folder)
        return known
    for file in known.manifest["files"]:
        is_lost = fault_of(known, file) if file["split"] else not (folder / file["name"]).exists()
        if is_lost:
            publish_file(draft / file["name"], folder / file["name"])
    publish_file(draft / MANIFEST, folder / MANIFEST)
    return known


def _create(
    screening: Screening, manifest: dict[str, Any], home: Path, user: User | None
) -> Export:
    dataset = screening.dataset
    version = (dataset.exports.aggregate(last=Max("version"))["last"] or 0) + 1
    # A folder without a row: of an export that was killed between rename and commit.
    while (home / f"v{version}").exists():
        version += 1
    return Export.objects.create(
        dataset=dataset,
        version=version,
        policy=screening.policy,
        screening=screening,
        content_sha256=manifest["content_sha256"],
        folder=str(FOLDER / home.name / f"v{version}"),
        manifest=manifest,
        created_by=user,
    )


def _remember(export: Export, ids: array[int]) -> None:
    """Note which completions the export holds; 50,000 at a time."""
    with connection.cursor() as cursor:
        for start in range(0, len(ids), _BATCH):
            cursor.execute(
                "INSERT INTO distill_exportedcompletion (export_id, completion_id)"
                " SELECT %s, id FROM distill_completion WHERE id = ANY(%s)",
                [export.pk, ids[start : start + _BATCH].tolist()],
            )
