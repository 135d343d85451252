"""The flag on work with people or animals that names no approval."""

from __future__ import annotations

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import (
    LOOSELY,
    Rule,
    RulesConfig,
    character_offset,
    excerpt,
    with_ascii_edges,
)
from distill.logic.types import Evidence

_SUBJECTS = (
    r"\b(?:adolescents|adults|animals|children|dogs?|donors|ferrets?|guinea pigs?|hamsters?"
    r"|individuals|infants|macaques?|men|mice|monkeys?|mouse|neonates|newborns|participants?"
    r"|patients?|people|persons|piglets?|pigs?|primates?|rabbits?|rats?|residents|sheep|students"
    r"|subjects?|volunteers?|women|zebrafish)\b"
)
_ACTS = (
    r"(?:administer|allocat|anaestheti[sz]|anestheti[sz]|assign|biops|dos|enrol|enroll|euthani[sz]"
    r"|expos|feed|gavag|immuni[sz]|implant|infus|inject|inoculat|interview|irradiat|operat"
    r"|randomi[sz]|recruit|sacrific|treat|vaccinat)"
)
_IN_SENTENCE = r"[^.;:\n]{0,80}"
# "patients treated with X were compared" tells of others' work; "patients are treated" plans it.
_WORK = with_ascii_edges(
    rf"(?i)\b(?:{_ACTS}(?:e|er|ing|y)?|(?:enroll?|recruit)(?:ed|ing))\b{_IN_SENTENCE}{_SUBJECTS}"
    rf"|{_SUBJECTS}{_IN_SENTENCE}\b(?:are|be|is|to be|was|were|will be) (?:[a-z]+ )?{_ACTS}[a-z]*ed\b"
    rf"|{_SUBJECTS} (?:[a-z]+ )?(?:receive|undergo|will receive|will undergo)\b"
)
_APPROVAL = with_ascii_edges(
    r"(?i)\b(?:IRB|IACUC|(?:institutional |ethical )?review board|ethic(?:s|al)|consent[a-z]*|assent"
    r"|approv(?:al|ed)|helsinki|animal[- ]care|ARRIVE guidelines?|animal welfare"
    r"|(?:project|animal) licen[cs]e)\b"
)
_UNAPPROVED = with_ascii_edges(
    r"(?i)\b(?:without|lack(?:s|ing)?|no|not|waiv[a-z]*|skip[a-z]*|n['’]t) (?:[a-z]+ ){0,3}"
    r"(?:approv|consent|ethic)[a-z]*"
)
# Nobody is treated where what happened is read again.
_READ_AGAIN = with_ascii_edges(
    r"(?i)\b(?:retrospective(?:ly)?|(?:already )?published data|public(?:ly available)? data[a-z ]*"
    r"|de-?identified|anonymi[sz]ed|secondary analysis|existing (?:data|records)|meta-analys[ei]s"
    r"|chart review|registry data|in silico|simulated (?:individuals|participants|patients"
    r"|subjects))\b"
)


def _place() -> pl.Expr:
    """Where work is planned: the method, else the whole text. A hypothesis may tell of others'."""
    has_method = pl.col("method").str.contains(r"\S")
    return pl.when(has_method).then(pl.col("method")).otherwise(pl.col("text"))


def _plans_work() -> pl.Expr:
    return _place().str.contains(_WORK) & ~_place().str.contains(_READ_AGAIN)


def _lacks_approval(_config: RulesConfig) -> pl.Expr:
    text = pl.col("text")
    return _plans_work() & (~text.str.contains(_APPROVAL) | text.str.contains(_UNAPPROVED))


def _nearness(_config: RulesConfig) -> pl.Expr:
    return pl.when(_place().str.contains(_WORK)).then(LOOSELY)


def _unapproved_work(frame: pl.DataFrame, _config: RulesConfig) -> list[Evidence]:
    """The planned work, where it stands in the text."""
    places = frame.select(
        "text",
        place=_place(),
        match=_place().str.extract(_WORK, 0),
        at=_place().str.find(_WORK),
    )
    return [_finding(*row) for row in places.rows()]


def _finding(text: str, place: str, match: str, at: int) -> Evidence:
    detail = f'"{excerpt(match)}", and no approval or consent is named'
    offset = text.find(place)
    if offset < 0:
        return Evidence(Reason.NO_APPROVAL, detail)
    start = offset + character_offset(place, at)
    return Evidence(Reason.NO_APPROVAL, detail, start, start + len(match))


NO_APPROVAL = Rule(
    Reason.NO_APPROVAL,
    _lacks_approval,
    _unapproved_work,
    near=_nearness,
    says=(
        "Flags methods that treat, recruit or operate on people or animals and name no approval or "
        "consent; reading published or existing data again needs none."
    ),
)
