"""Relations between two things, as abstracts word them: what moves what, and which way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from distill.teachers.offline.phrases import content_words, last_phrase, shares_words, tidy


@dataclass(frozen=True, slots=True)
class Relation:
    """`cause` is said to move `effect`; `direction` is +1, -1 or 0, `comparison` may be ''."""

    cause: str
    effect: str
    verb: str
    direction: int
    comparison: str = ""
    weight: float = 0.0


_UP = "improve increase enhance raise accelerate promote facilitate boost augment strengthen elevate prolong extend restore double"

_DOWN = (
    "reduce decrease prevent inhibit impair suppress limit diminish shorten delay attenuate alleviate mitigate "
    "minimize minimise hinder weaken abolish slow halve eliminate stop"
)

_NEUTRAL = "affect influence alter modulate predict impact regulate"

_DIRECTIONS = (
    dict.fromkeys(_UP.split(), 1)
    | dict.fromkeys(_DOWN.split(), -1)
    | dict.fromkeys(_NEUTRAL.split(), 0)
)

_VERB_FORMS = {
    form: verb
    for verb in _DIRECTIONS
    for form in (verb, f"{verb}s", f"{verb}es", f"{verb.removesuffix('e')}ed", f"{verb}ted")
} | {"lowered": "lower", "stopped": "stop", "cut": "reduce", "recovered": "restore"}

_VERBS = "|".join(sorted(_VERB_FORMS, key=len, reverse=True))

# Without a modal before it, the bare form is as often a noun ("an increase in").
_FINITE = "|".join(sorted(_VERB_FORMS.keys() - _DIRECTIONS.keys(), key=len, reverse=True))

_ADVERBS = r"(?:(?:\w+ly|also|not|further|strongly|still|even|be|been) )*"

_MODAL = r"(?:can |could |may |might |would |will |does |do |did |to )?"

_BE = r"(?:is|are|was|were|be|would be|may be|could be|might be|will be)"

_HIGHER = r"(?P<adjective>higher|lower|greater|better|worse|longer|shorter|fewer|less|more|larger|smaller|faster|poorer)"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """How a relation is worded. `before` names the part that stands left of the match, if one does:
    looking for the middle first is ten times faster than for a part of any words at the start."""

    weight: float
    middle: re.Pattern[str]
    before: Literal["cause", "effect", ""] = ""


def _pattern(weight: float, text: str, before: Literal["cause", "effect", ""] = "") -> _Pattern:
    return _Pattern(weight, re.compile(text, re.IGNORECASE), before)


_WHETHER = r"\b(?:whether|hypothesi[sz]ed? that|hypothesis that|if) (?P<cause>.{4,110}?)"

_THAN = r"(?:than|compared (?:with|to)|versus|vs\.?)"

_SAID = (
    r"\b(?:shows?|showed|finds?|found|demonstrated?|suggests?|suggested|argue|conclude|indicates?|"
    r"indicated|believed|thought) that (?P<cause>.{4,110}?)"
)

_PATTERNS = (
    _pattern(5.0, rf"{_WHETHER} {_MODAL}{_ADVERBS}(?P<verb>{_VERBS}) (?P<effect>.+)"),
    _pattern(
        5.0,
        rf"{_WHETHER} {_BE} (?P<sign>{_ADVERBS})(?:associated|correlated|related|linked) "
        r"(?:with|to) (?P<effect>.+)",
    ),
    _pattern(
        4.6,
        rf"\b(?P<cause>[A-Z]?[a-z]{{2,}}ing (?!to\b|that\b)[^;:]{{4,110}}?) (?:\w+ly )?(?P<verb>{_FINITE}) "
        r"(?P<effect>.+)",
    ),
    _pattern(
        4.5,
        r"\b(?:effects?|impact|influence) of (?P<cause>.{4,110}?) (?:on|upon) (?P<effect>.+)",
    ),
    _pattern(
        4.0,
        r"\b(?:association|relationship|correlation|link|relation)s? (?:between|of) "
        r"(?P<cause>.{4,110}?) (?:and|with|to) (?P<effect>.+)",
    ),
    _pattern(
        3.5,
        rf" (?:was|were|is|are) (?:\w+ly )?{_HIGHER} (?:in|for|with|among|after|by) "
        rf"(?P<cause>.{{4,80}}?) {_THAN} (?P<comparison>.+)",
        "effect",
    ),
    _pattern(
        3.5,
        rf" {_BE} (?P<sign>{_ADVERBS})(?:associated|correlated) with (?P<effect>.+)",
        "cause",
    ),
    _pattern(
        3.6,
        r" (?P<move>rose|fell|increased|decreased|dropped|declined|climbed|grew|doubled|halved|"
        r"improved|worsened|shrank|slowed)\b[^;:]{0,70}? (?:when|as|after|with|under|at|upon|once) "
        r"(?P<cause>.+)",
        "effect",
    ),
    _pattern(3.2, rf"{_SAID} {_MODAL}{_ADVERBS}(?P<verb>{_VERBS}) (?P<effect>.+)"),
    _pattern(
        3.0,
        r"\b(?:efficacy|effectiveness|usefulness|value|benefits?|role|contribution|utility|safety)"
        r" of (?P<cause>.{4,110}?) (?:in|for|on|to|as) (?P<effect>.+)",
    ),
    _pattern(
        3.0,
        r" (?:outperforms?|outperformed|surpass(?:es)?) (?P<comparison>.{4,80}?) (?:on|in|for) "
        r"(?P<effect>.+)",
        "cause",
    ),
    _pattern(
        2.8,
        r"\bcompar(?:e|ed|ing) (?P<effect>.{4,80}?) (?:between|of|in|after|for) "
        r"(?P<cause>.{4,80}?) (?:and|with|to|versus|vs\.?) (?P<comparison>.+)",
    ),
    _pattern(
        2.5,
        rf" (?:can |could |may |might |would |will )?{_ADVERBS}(?P<verb>{_FINITE}) (?P<effect>.+)",
        "cause",
    ),
    _pattern(
        2.0,
        r"\b(?:propose|introduce|present|develop|describe|design|study|employ) "
        r"(?P<cause>.{4,120}?)(?: (?:for|to|that|which|by|in)\b(?P<effect>.*)|$)",
    ),
)

_STARTS_WITH_VERB = re.compile(
    rf"(?:to|{'|'.join(_DIRECTIONS)}|show|find|give|occur|differ|learn|use|make|be|seem|allow|"
    r"obtaining|showing|suggesting|achieving|making|allowing)\b",
    re.IGNORECASE,
)

_SIGNS = {
    1: [
        "increased",
        "higher",
        "greater",
        "elevated",
        "more",
        "longer",
        "improved",
        "better",
        "increasing",
        "larger",
        "faster",
    ],
    -1: [
        "decreased",
        "reduced",
        "lower",
        "less",
        "fewer",
        "impaired",
        "shorter",
        "worse",
        "poorer",
        "poor",
        "decreasing",
        "smaller",
        "low",
    ],
}

_MOVES_UP = ("rose", "increased", "climbed", "grew", "doubled", "improved")

_SIGN_OF = {word: sign for sign, words in _SIGNS.items() for word in words}

POPULATION = (
    r"patients?|children|infants?|women|men|subjects|participants|adults|volunteers|students|physicians|"
    r"nurses|surgeons|rats|mice|animals|dogs|pigs|rabbits|specimens|procedures|cases|neonates|newborns|"
    r"residents|adolescents|individuals|families|mothers|donors|recipients|knees|eyes|hips|tumou?rs|"
    r"samples|hospitals|interviews|plants|cells|pregnancies|births|operations"
)

_WHOM = re.compile(
    rf"(?<=\w) (?:in|among|for|on) (?:[\w-]+ ){{0,4}}?(?:{POPULATION})\b.*$", re.IGNORECASE
)

MEASURE = re.compile(
    r"\b(?:survival|mortality|accurac\w+|rates?|scores?|levels?|concentrations?|expression|volumes?|"
    r"pressure|density|incidence|prevalence|loss|errors?|rewards?|perplexity|recurrence|sensitivity|"
    r"specificity|agreement|ratio|robustness|relief|velocity|strength|conductivity|yield|weight|"
    r"size|quality|latency|efficiency|likelihood|frequency|activity|duration|stay|times?|length|"
    r"risks?|number|costs?|performance|growth|capacity|thickness|temperature|speed|amount|index|"
    r"function|response|satisfaction|pain|intensity|lifetime|variance|bias|complexity|stability|"
    r"consumption|dose|age|height|intake|adherence|severity|symptoms|resistance|content|output|gap|"
    r"width|energy|power|convergence|consistency|precision|recall|generali[sz]ation|readings?|"
    r"evaluations|results|admissions|[A-Z]{2,}\w*)\b"
)


def find_relations(sentences: Sequence[str], readouts: Sequence[str]) -> tuple[Relation, ...]:
    """The relations of the passage, the most trustworthy first."""
    found: dict[tuple[str, str], Relation] = {}
    for place, sentence in enumerate(sentences):
        for relation in _relations_in(sentence[:600], readouts):
            weighted = replace(relation, weight=relation.weight + _quality(relation, place))
            known = found.get((relation.cause, relation.effect))
            if known is None or known.weight < weighted.weight:
                found[relation.cause, relation.effect] = weighted
    ranked = sorted(found.values(), key=lambda relation: -relation.weight)[:6]
    return tuple(ranked)


def _relations_in(sentence: str, readouts: Sequence[str]) -> Iterator[Relation]:
    for pattern in _PATTERNS:
        match = pattern.middle.search(sentence)
        if match is None:
            continue
        parts = match.groupdict(default="")
        if pattern.before:
            parts[pattern.before] = last_phrase(sentence[: match.start()][-140:])
        relation = _build_relation(parts, pattern.weight, readouts)
        if relation is not None:
            yield relation


def _build_relation(
    parts: dict[str, str], weight: float, readouts: Sequence[str]
) -> Relation | None:
    cause = _leave_out_people(tidy(_last_clause(parts["cause"])))
    effect, effect_sign = _strip_sign(_leave_out_people(tidy(parts["effect"])))
    if not effect and weight == 2.0 and readouts:
        effect = next((name for name in readouts if not shares_words(name, cause)), "")
    if not cause or not effect or shares_words(cause, effect):
        return None
    if _STARTS_WITH_VERB.match(effect) or _STARTS_WITH_VERB.match(cause):
        return None
    cause, cause_sign = _strip_sign(cause)
    verb = _VERB_FORMS.get(parts.get("verb", "").lower(), "")
    direction = _DIRECTIONS.get(verb, 0) or effect_sign or _sign_of_words(parts)
    return Relation(
        cause=cause,
        effect=effect,
        verb=verb,
        direction=direction * (cause_sign or 1),
        comparison=tidy(parts.get("comparison", ""), max_words=7),
        weight=weight,
    )


def _last_clause(text: str) -> str:
    """The subject that stands next to the verb: after the last comma, "that" or "whether"."""
    return re.split(r"[,;:]\s|\b(?:that|whether|which|because|although|and we|we)\b", text)[-1]


def _leave_out_people(phrase: str) -> str:
    """`mortality in patients with stroke` is mortality: whom it concerns is said elsewhere."""
    return tidy(_WHOM.sub("", phrase))


def _strip_sign(phrase: str) -> tuple[str, int]:
    """`increased mortality` is mortality with +1."""
    first, _, rest = phrase.partition(" ")
    sign = _SIGN_OF.get(first.lower(), 0)
    if sign and rest:
        return tidy(rest) or phrase, sign
    return phrase, 0


def _sign_of_words(parts: dict[str, str]) -> int:
    adverb = parts.get("sign", "").lower()
    if parts.get("move"):
        return 1 if parts["move"].lower() in _MOVES_UP else -1
    if "negative" in adverb or "inverse" in adverb:
        return -1
    return _SIGN_OF.get(parts.get("adjective", "").lower(), 0)


def _quality(relation: Relation, place: int) -> float:
    """Clean, short phrases and early sentences (where the aim stands) are worth more."""
    num_words = len(relation.cause.split()) + len(relation.effect.split())
    is_measured = bool(MEASURE.search(relation.effect))
    has_both = len(content_words(relation.cause)) > 1 and len(content_words(relation.effect)) > 1
    return 0.8 * has_both + 0.8 * is_measured - 0.12 * abs(num_words - 8) - 0.05 * min(place, 10)
