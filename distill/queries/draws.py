"""How many answers to the same question a sample has."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Greatest

from distill.models import Completion, SampleDraw


def last_draw(sample: str) -> Greatest:
    """The highest draw of the sample at this path, answered or only asked for; 0: it has one."""
    found = (model.objects.filter(sample=OuterRef(sample)) for model in (Completion, SampleDraw))
    # PostgreSQL's greatest() passes over what is NULL.
    return Greatest(*(Subquery(of.order_by("-draw").values("draw")[:1]) for of in found))
