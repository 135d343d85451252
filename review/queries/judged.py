"""What judges said of completions, for whoever may see it."""

from __future__ import annotations

from collections.abc import Sequence

from distill.models import Judgement


def judgements_of(completion_ids: Sequence[int]) -> dict[int, list[Judgement]]:
    """By completion: the latest judgement of each judge, in one query; none for no ids."""
    if not completion_ids:
        return {}
    latest: dict[int, dict[str, Judgement]] = {}
    for one in Judgement.objects.filter(completion__in=completion_ids).order_by("pk"):
        latest.setdefault(one.completion_id, {})[one.judge] = one
    return {pk: list(by_judge.values()) for pk, by_judge in latest.items()}
