"""Make a queue."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from distill.logic.errors import InputError
from distill.models import Dataset
from review.logic.queue_filter import QueueFilter
from review.logic.ways import Ways
from review.models import Queue
from review.queries.planned import MOST_REVIEWS


def create_queue(
    *,
    dataset: Dataset,
    name: str,
    wanted: QueueFilter,
    required_reviews: int = 1,
    guidelines: str = "",
    ways: Ways | None = None,
    created_by: User | None = None,
) -> Queue:
    """Store a queue over what `wanted` takes of the dataset; `fill_queue` opens its slots.

    Without guidelines of its own it has the shipped ones. Raises InputError where the dataset has a
    queue of this name, or where the number of reviews is not from 1 to `MOST_REVIEWS`.
    """
    check_reviews(required_reviews)
    try:
        with transaction.atomic():
            return Queue.objects.create(
                dataset=dataset,
                name=name,
                filter=stored_filter(wanted),
                required_reviews=required_reviews,
                guidelines=guidelines.strip(),
                created_by=created_by,
                **(ways or Ways()).as_row(),
            )
    except IntegrityError:
        raise name_taken(dataset, name) from None


def check_reviews(required_reviews: int) -> None:
    """Raises InputError for what is no number of reviews."""
    if not 1 <= required_reviews <= MOST_REVIEWS:
        raise InputError(
            f"{required_reviews} reviews of each completion are not possible: 1 to {MOST_REVIEWS} are."
        )


def stored_filter(wanted: QueueFilter) -> dict[str, object]:
    """The filter as its row keeps it: only what differs from taking everything that passed."""
    return wanted.model_dump(mode="json", exclude_defaults=True)


def name_taken(dataset: Dataset, name: str) -> InputError:
    """The error for a second queue of one name."""
    return InputError(f"{dataset} has a queue named “{name}” already: choose another name.")
