"""Where one teacher answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LEAST_KEY = 8
"""Shorter ones are stand-ins, such as those that local servers are given."""
_USER_INFO = re.compile(r"(?<=://)[^/\s]{0,2000}@")


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

    def hide_secrets(self, text: str) -> str:
        """The text without the key, and without names and passwords in URLs.

        Some providers and proxies repeat what they were sent; their words are shown to people.
        """
        if len(self.api_key) >= _LEAST_KEY:
            text = text.replace(self.api_key, "…")
        return _USER_INFO.sub("…@", text)
