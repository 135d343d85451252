"""Where one teacher answers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one teacher answers. `base_url` has no slash at its end; the key is never printed.

    `seeds_draws`: this teacher is deterministic, so a further draw must travel as a seed.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    provider: str
    proxy: str | None = None
    seeds_draws: bool = False
