"""What a provider allows a minute, as far as somebody told us."""

from __future__ import annotations

from typing import Annotated

from distill.logic.documents import Document, between

PerMinute = Annotated[int, between(1, 1_000_000_000)]


class Limits(Document):
    """Limits of one model's account, over all workers; None where the provider's headers tell."""

    requests_per_minute: PerMinute | None = None
    input_tokens_per_minute: PerMinute | None = None
    output_tokens_per_minute: PerMinute | None = None
