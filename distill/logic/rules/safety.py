"""Flags on hazardous work: what a person must see before any student does."""

from __future__ import annotations

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import LOOSELY, Rule, RulesConfig, excerpt, with_ascii_edges
from distill.logic.types import Evidence

_HAZARDS = (
    r"\bweaponi[sz][a-z]*|\b(?:biological |bio|chemical )weapons?\b|\bweapons?-grade\b",
    r"\b(?:cyclosarin|lewisite|(?:mustard gas|sul(?:f|ph)ur mustard)|nerve agents?|novichok"
    r"|phosgene|ricin|sarin|soman|tabun)\b",
    r"\b(?:explosive (?:charge|device)|improvised explosive|pipe bomb|detonator|TATP|PETN|HMTD"
    r"|trinitrotoluene|triacetone triperoxide|lead azide)s?\b",
    r"\b(?:chemical[- ]weapons?|explosives?|nerve[- ]agents?) precursors?\b"
    r"|\bprecursors? (?:for|of|to) (?:chemical weapons?|explosives?|nerve agents?)\b",
    r"\bmethylphosphon(?:yl|ic) (?:di)?(?:chloride|fluoride)\b",
    r"\b(?:produc|purif|synthesi[sz])[a-z]* (?:of )?(?:abrin|botulinum|carfentanil|fentanyl|heroin"
    r"|methamphetamine|saxitoxin)\b",
    r"\bgenerat[a-z]* (?:arsine|hydrogen cyanide|phosphine)\b",
)
# The words for work with an agent of which patients are ill, too: only growing it is a hazard.
_GROW = r"\b(?:cultivat|cultur|grow|infect|inoculat|isolat|passag|propagat)[a-z]*"
_PATHOGENS = (
    r"\bA?BSL[-\s]?[34]\b",
    r"\b(?:biosafety|containment)[-\s]level[-\s]?(?:3|4|three|four)\b",
    r"\bselect agents?\b",
    r"\bgain[-\s]of[-\s]function (?:experiment|pathogen|research|stud|vir)[a-z]*",
    r"\b(?:enhanc|increas)[a-z]* (?:the )?(?:lethality|pathogenicity|transmissibility|virulence)\b",
    r"\b(?:anthrax|bacillus anthracis|burkholderia (?:pseudo)?mallei|francisella tularensis"
    r"|smallpox|variola|yersinia pestis)\b",
    r"\b(?:crimean-congo|ebola|hendra|lassa|marburg|nipah|rift valley fever"
    r"|venezuelan equine encephalitis)[-\s]?virus(?:es)?\b",
    rf"{_GROW} (?:[a-z]+ ){{0,4}}(?:brucella|coxiella burnetii|hantavirus|H5N1|mers-cov"
    r"|(?:mycobacterium|m\.) tuberculosis|sars-cov(?:-2)?|west nile virus)\b",
)

# The rust engine has no look-around, so negated mentions are matched first and used up: of the
# matches from left to right, only a bare one is a finding.
_IN_CLAUSE = r"[^.,;:!?()\n]"
_NEGATION = (
    r"\b(?:absence of|avoid[a-z]*|cannot|exclud[a-z]*|free (?:from|of)|instead of|neither|never|no"
    r"|non|nor|not|prohibit[a-z]*|rather than|without|[a-z]+n['’]t)\b"
)
_NOT_NEEDED = (
    r"\b(?:not|never|[a-z]+n['’]t)\s+(?:be\s+)?"
    r"(?:applicable|handled|involved|necessary|needed|performed|present|required|used)\b"
)


def _mention_rule(code: Reason, patterns: tuple[str, ...], says: str) -> Rule:
    """The rule that flags a mention, unless its clause says that it is not so."""
    named = f"(?:{'|'.join(patterns)})"
    mention = with_ascii_edges(
        rf"(?i){_NEGATION}{_IN_CLAUSE}{{0,60}}{named}|{named}{_IN_CLAUSE}{{0,40}}{_NOT_NEEDED}|{named}"
    )
    bare = with_ascii_edges(f"(?i)^{named}$")
    anywhere = with_ascii_edges(f"(?i){named}")

    def is_bare(mentions: pl.Expr) -> pl.Expr:
        return mentions.list.eval(pl.element().str.contains(bare))

    def hits(_config: RulesConfig) -> pl.Expr:
        # Most texts mention nothing, which the short pattern tells fifteen times as fast.
        text = pl.col("text")
        named_text = pl.when(text.str.contains(anywhere)).then(text).otherwise(pl.lit(""))
        return is_bare(named_text.str.extract_all(mention)).list.any()

    def nearness(_config: RulesConfig) -> pl.Expr:
        return pl.when(pl.col("text").str.contains(anywhere)).then(LOOSELY)

    def evidence(frame: pl.DataFrame, _config: RulesConfig) -> list[Evidence]:
        mentions = frame.select("text", mentions=pl.col("text").str.extract_all(mention))
        rows = mentions.with_columns(bare=is_bare(pl.col("mentions"))).rows()
        return [_first_bare(code, *row) for row in rows]

    return Rule(code, hits, evidence, near=nearness, says=says)


def _first_bare(code: Reason, text: str, mentions: list[str], bare: list[bool]) -> Evidence:
    index = bare.index(True)
    start = 0
    for mention in mentions[:index]:
        start = text.index(mention, start) + len(mention)
    start = text.index(mentions[index], start)
    detail = f'"{excerpt(mentions[index])}"'
    return Evidence(code, detail, start, start + len(mentions[index]))


HAZARD = _mention_rule(
    Reason.HAZARD,
    _HAZARDS,
    "Flags weapons, explosives, poisons of war and their precursors, for a person to look at.",
)
PATHOGEN = _mention_rule(
    Reason.PATHOGEN,
    _PATHOGENS,
    "Flags work that needs more than biosafety level 2, for a person to look at; a text that says "
    "that it needs no such laboratory is left alone.",
)
