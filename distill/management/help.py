"""How the commands' --help reads."""

from __future__ import annotations

import textwrap
from argparse import RawDescriptionHelpFormatter

from django.core.management.base import DjangoHelpFormatter


class HelpFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """The description as written, the command's own options before Django's, paths kept whole."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        words = " ".join(text.split())
        return textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
