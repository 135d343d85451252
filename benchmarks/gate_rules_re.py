"""Four of the rules (length, verbs, citations, formatting) row by row with Python's `re`.

What the columnar rules are measured against: the same patterns, read from the rules themselves and
put into Python's dialect, so that both must come to the same.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import cache

from distill.logic.reasons import Reason
from distill.logic.rules import RULES, RulesConfig, formatting, science
from distill.logic.rules.base import with_ascii_edges
from distill.logic.rules.length import CHARS_PER_TOKEN

COMPARED = (
    Reason.TOO_SHORT,
    Reason.NO_ACTION_VERB,
    Reason.CITATION,
    Reason.BROKEN_FORMATTING,
)
IsHit = Callable[[str], bool]


def only_compared(config: RulesConfig) -> RulesConfig:
    """The same settings with every other rule switched off."""
    return config.model_copy(update={rule.switch: rule.code in COMPARED for rule in RULES})


def compile_checks(config: RulesConfig) -> tuple[IsHit, ...]:
    """One function a rule, each saying of a text whether the rule hits it."""
    forms = sorted({form for verb in config.action_verbs for form in science.inflect(verb)})
    verbs = translate(with_ascii_edges(rf"(?i)\b(?:{'|'.join(forms)})\b"))
    citations = translate(with_ascii_edges("|".join(science._CITATIONS)))  # noqa: SLF001
    return (
        _is_short(config),
        lambda one: not verbs.search(one),
        lambda one: citations.search(one) is not None,
        _formatting(),
    )


def passes(one: str, checks: tuple[IsHit, ...]) -> bool:
    """Whether no rule hits; every rule is asked, as all reasons are wanted."""
    hits = [is_hit(one) for is_hit in checks]
    return True not in hits


def translate(pattern: str) -> re.Pattern[str]:
    """A pattern of the rules' linear-time engine in Python's dialect."""
    pattern = pattern.replace(r"[\p{L}", f"[{_letters('L')}").replace(
        r"\p{Lu}", f"[{_letters('Lu')}]"
    )
    pattern = pattern.replace("(?-u:", "(?a:").replace(r"\x{FFFD}", "\ufffd")
    if not pattern.startswith("(?m)"):
        # Python's `$` also stands before a last line break.
        pattern = re.sub(r"\$(?=\)|$)", r"\\Z", pattern)
    return re.compile(pattern)


@cache
def _letters(category: str) -> str:
    """The letters of a category of Unicode, as ranges for a character class."""
    codes = [
        code
        for code in range(sys.maxunicode)
        if unicodedata.category(chr(code)).startswith(category)
    ]
    starts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"{chr(one)}-{chr(other)}" for one, other in zip(starts, ends, strict=True))


def _is_short(config: RulesConfig) -> IsHit:
    """No tokens are counted here but those of the usage, so the estimate's ends do not matter."""

    def is_short(one: str) -> bool:
        chars = len(one.strip())
        tokens = -(-chars // CHARS_PER_TOKEN)
        return chars <= config.min_chars or tokens < config.min_tokens

    return is_short


def _formatting() -> IsHit:
    patterns = [translate(fault.pattern) for fault in formatting._FAULTS if fault.pattern]  # noqa: SLF001
    fence, bold, power, formula, opening, closing, enumerator = (
        translate(pattern)
        for pattern in (
            r"(?m)^[ \t]*```",
            r"\*\*",
            r"\d\*\*[-+]?\d",
            r"\$\$",
            formatting._OPENING,  # noqa: SLF001
            formatting._CLOSING,  # noqa: SLF001
            formatting._ENUMERATOR,  # noqa: SLF001
        )
    )

    def is_broken(one: str) -> bool:
        opened, closed = len(opening.findall(one)), len(closing.findall(one))
        return True in (
            *[pattern.search(one) is not None for pattern in patterns],
            len(fence.findall(one)) % 2 == 1,
            (len(bold.findall(one)) + len(power.findall(one))) % 2 == 1,
            len(formula.findall(one)) % 2 == 1,
            one.count(r"\begin{") != one.count(r"\end{"),
            opened > closed,
            closed > opened + len(enumerator.findall(one)),
            "|" in one and formatting._is_uneven(one),  # noqa: SLF001
        )

    return is_broken
