"""Rules on what must not be taught without a person's eye: hazardous work."""

from __future__ import annotations

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, excerpt, with_ascii_edges
from distill.logic.types import Evidence

_HAZARD = "|".join(
    (
        r"\bA?BSL[-\s]?[34]\b",
        r"\bbiosafety[-\s]level[-\s]?(?:3|4|three|four)\b",
        r"\bselect agents?\b",
        r"\bgain[-\s]of[-\s]function (?:experiment|pathogen|research|stud|vir)\w*",
        r"\b(?:enhanc|increas)\w* (?:the )?(?:pathogenicity|transmissibility|virulence)\b",
        r"\bweaponi[sz]\w*|\b(?:biological |bio|chemical )weapons?\b|\bweapons?-grade\b",
        r"\b(?:cyclosarin|mustard gas|nerve agents?|novichok|phosgene|ricin|sarin|soman|tabun)\b",
        r"\b(?:anthrax|bacillus anthracis|francisella tularensis|smallpox|variola"
        r"|yersinia pestis)\b",
        r"\b(?:ebola|lassa|marburg|nipah)[-\s]?virus\b",
        r"\b(?:explosive device|improvised explosive|pipe bomb|TATP|PETN|trinitrotoluene)s?\b",
    )
)
# The rust engine has no look-around, so negated mentions are matched first and used up: of the
# matches from left to right, only a bare one is a hazard.
_IN_CLAUSE = r"[^.,;:!?()\n]"
_NOT_BEFORE = (
    r"\b(?:absence of|avoid\w*|cannot|exclud\w*|free (?:from|of)|instead of|neither|never|no|non"
    r"|nor|not|prohibit\w*|rather than|without|\w+n['’]t)\b"
    rf"{_IN_CLAUSE}{{0,60}}(?:{_HAZARD})"
)
_NOT_AFTER = (
    rf"(?:{_HAZARD}){_IN_CLAUSE}{{0,40}}\b(?:not|never|\w+n['’]t)\s+(?:be\s+)?"
    r"(?:applicable|handled|involved|necessary|needed|performed|present|required|used)\b"
)
_MENTION = with_ascii_edges(f"(?i){_NOT_BEFORE}|{_NOT_AFTER}|{_HAZARD}")
_BARE = with_ascii_edges(f"(?i)^(?:{_HAZARD})$")


def _bare(matches: pl.Expr) -> pl.Expr:
    return matches.list.eval(pl.element().str.contains(_BARE))


def _is_hazardous(_config: RulesConfig) -> pl.Expr:
    return _bare(pl.col("text").str.extract_all(_MENTION)).list.any()


def _hazards(frame: pl.DataFrame, _config: RulesConfig) -> list[Evidence]:
    mentions = frame.select("text", matches=pl.col("text").str.extract_all(_MENTION))
    rows = mentions.with_columns(bare=_bare(pl.col("matches"))).rows()
    return [_first_bare(text, matches, bare) for text, matches, bare in rows]


def _first_bare(text: str, matches: list[str], bare: list[bool]) -> Evidence:
    index = bare.index(True)
    start = 0
    for match in matches[:index]:
        start = text.index(match, start) + len(match)
    start = text.index(matches[index], start)
    detail = f'"{excerpt(matches[index])}"'
    return Evidence(Reason.HAZARD, detail, start, start + len(matches[index]))


HAZARD = Rule(Reason.HAZARD, _is_hazardous, _hazards)
