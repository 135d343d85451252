"""What a dataset's completions can be chosen by, measured on some of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from distill.models import Completion, CompletionState, Dataset, Sample

MAX_MEASURED = 10_000
MAX_OFFERED = 40


def domains_of(dataset: Dataset) -> list[str]:
    """The most frequent domains of its first samples by key: hashes, so an even choice."""
    samples = Sample.objects.filter(dataset=dataset).order_by("key")
    return _frequent(samples.values_list("domain", flat=True)[:MAX_MEASURED])


def templates_of(dataset: Dataset) -> list[str]:
    """The templates of some of its completions."""
    states = CompletionState.objects.filter(dataset=dataset).order_by()
    some = list(states.values_list("completion", flat=True)[:MAX_MEASURED])
    names = Completion.objects.filter(pk__in=some).order_by()
    return _frequent(names.values_list("template_name", flat=True))


def _frequent(values: Iterable[str]) -> list[str]:
    return sorted(value for value, _ in Counter(values).most_common(MAX_OFFERED))
