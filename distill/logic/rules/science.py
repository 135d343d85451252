"""Rules on what scientific training text must have and must not have: verbs, citations."""

from __future__ import annotations

import re

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import LOOSELY, Rule, RulesConfig, pattern_rule, with_ascii_edges
from distill.logic.types import Evidence

_IRREGULAR = {
    "cut": ("cuts", "cutting"),
    "draw": ("draws", "drew", "drawn", "drawing"),
    "feed": ("feeds", "fed", "feeding"),
    "find": ("finds", "found", "finding"),
    "freeze": ("freezes", "froze", "frozen", "freezing"),
    "grind": ("grinds", "ground", "grinding"),
    "grow": ("grows", "grew", "grown", "growing"),
    "run": ("runs", "ran", "running"),
    "spin": ("spins", "spun", "spinning"),
}
# A short vowel before the last consonant may double it (stirred) or not (inhibited): both are
# taken, since a form that nobody writes matches nothing.
_MAY_DOUBLE = re.compile(r"[a-z]*[^aeiou][aeiou][^aeiouwxy]")


def inflect(verb: str) -> tuple[str, ...]:
    """The verb and its forms: measure, measures, measured, measuring."""
    if verb in _IRREGULAR:
        return (verb, *_IRREGULAR[verb])
    if verb.endswith("e"):
        return (verb, verb + "s", verb + "d", verb[:-1] + "ing")
    if re.fullmatch(r".*[^aeiou]y", verb):
        return (verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing")
    third = verb + ("es" if re.search(r"(?:s|x|z|ch|sh)$", verb) else "s")
    forms: tuple[str, ...] = (verb, third, verb + "ed", verb + "ing")
    if _MAY_DOUBLE.fullmatch(verb):
        forms += (verb + verb[-1] + "ed", verb + verb[-1] + "ing")
    return forms


def _verbs(config: RulesConfig) -> str:
    forms = sorted({form for verb in config.action_verbs for form in inflect(verb)})
    return with_ascii_edges(rf"(?i)\b(?:{'|'.join(forms)})\b")


def _lacks_verb(config: RulesConfig) -> pl.Expr:
    if not config.action_verbs:
        return pl.lit(value=False).and_(pl.col("text").is_null())  # no verb is asked for
    return ~pl.col("text").str.contains(_verbs(config))


def _has_one_verb(config: RulesConfig) -> pl.Expr:
    """The text hangs on a single verb: without it, it would hit."""
    return pl.when(pl.col("text").str.count_matches(_verbs(config)) == 1).then(LOOSELY)


def _verb_wanted(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    detail = f"no action verb such as {', '.join(config.action_verbs[:4])}"
    return [Evidence(Reason.NO_ACTION_VERB, detail)] * len(frame)


NO_ACTION_VERB = Rule(
    Reason.NO_ACTION_VERB,
    _lacks_verb,
    _verb_wanted,
    near=_has_one_verb,
    says="Drops what names nothing to do: no verb of the list, in any of its forms.",
    settings=("action_verbs",),
)

_NAME = r"\p{Lu}[\p{L}'’-]+"
_YEAR = r"(?:19|20)\d{2}[a-z]?"
_NUMBER = r"[1-9]\d{0,2}"
_CITATIONS = (
    # [12], [1, 2], [3-5]. Citations count from 1, so the interval [0, 1] is none, while [1, 10]
    # reads as two citations: "1 to 10" says it without a doubt. `\B`: [60]fullerene is chemistry.
    rf"\[\s*{_NUMBER}(?:\s*[,;–—-]\s*{_NUMBER})*\s*\]\B",
    r"\[\^\w{1,20}\]|\[@\w|(?i:\[citation needed\])",
    r"(?i:[(\[]\s*refs?\.?(?:\s*\d{1,3}(?:\s*[,–-]\s*\d{1,3})*)?\s*[)\]])",
    # (Smith, 2020), (Smith and Jones 2020; …), [Smith, 2020]. One name without a comma is left
    # alone: (Boston 2020) and (March 2020) are places and dates.
    rf"[(\[](?:(?i:see|cf\.|e\.g\.,?)\s+)?{_NAME}(?:,|\s+(?:and|&)\s+{_NAME},?)\s*{_YEAR}"
    rf"(?:\s*[;,][^()\[\]\n]{{0,200}})?[)\]]",
    rf"{_NAME}\s+(?:and|&)\s+{_NAME}\s+\({_YEAR}\)",
    r"(?i:\bet\.?\s+al\b\.?)",
    r"\\[A-Za-z]{0,10}cite[A-Za-z]{0,10}\*?(?:\[[^\]\n]{0,80}\]){0,2}\{",
    r"(?i:\bdoi\s*:\s*\S+|\bdoi\.org/\S*|\b10\.\d{4,9}/[-._;()/:a-z0-9]+)",
    r"(?i:\barxiv\s*:?\s*\d+|\barxiv\.org/\S*)",
    r"(?i:\bPMID\s*:?\s*\d+|\bPMC\d{5,}|\bISBN\b)",
    r"(?i:https?://\S+|\bwww\.\S+)",
)

CITATION = pattern_rule(
    Reason.CITATION,
    "|".join(_CITATIONS),
    near=r"[(\[][^()\[\]\n]{0,40}\b(?:19|20)\d{2}[a-z]?[)\]]|\[\d{1,4}(?:[,.;-]\s?\d{1,4}){0,9}\]",
    says="Drops citations and bracketed references: a student would learn to invent them.",
)
