"""Throw an edit away that was begun."""

from __future__ import annotations

from django.contrib.auth.models import User

from review.models import Draft


def drop_draft(*, completion_id: int, reviewer: User) -> bool:
    """Delete the reviewer's draft of the completion; whether there was one."""
    deleted, _by_model = Draft.objects.filter(completion=completion_id, reviewer=reviewer).delete()
    return bool(deleted)
