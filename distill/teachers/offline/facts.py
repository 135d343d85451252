"""What a passage says, as far as patterns can tell: who was studied, what moves what, in numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from distill.teachers.offline.phrases import (
    content_words,
    shares_words,
    split_sentences,
    tidy,
)

Kind = Literal["clinical", "laboratory", "computational", "general"]


@dataclass(frozen=True, slots=True)
class Relation:
    """`cause` is said to move `effect`; `direction` is +1, -1 or 0, `comparison` may be ''."""

    cause: str
    effect: str
    verb: str
    direction: int
    comparison: str = ""
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the writer needs; every list may be empty."""

    kind: Kind
    relations: tuple[Relation, ...]
    population: str
    count: int
    benchmarks: tuple[str, ...]
    readouts: tuple[str, ...]
    durations: tuple[str, ...]
    doses: tuple[str, ...]


_UP = "improve increase enhance raise accelerate promote facilitate boost augment strengthen elevate prolong extend"
_DOWN = (
    "reduce decrease prevent inhibit impair suppress limit diminish shorten delay attenuate alleviate mitigate "
    "minimize minimise hinder weaken"
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
}
_VERBS = "|".join(sorted(_VERB_FORMS, key=len, reverse=True))
# Without a modal before it, the bare form is as often a noun ("an increase in").
_FINITE = "|".join(sorted(_VERB_FORMS.keys() - _DIRECTIONS.keys(), key=len, reverse=True))
_ADVERBS = r"(?:(?:\w+ly|also|not|further|strongly|still|even|be|been) )*"
_MODAL = r"(?:can |could |may |might |would |will |does |do |did |to )?"
_BE = r"(?:is|are|was|were|be|would be|may be|could be|might be|will be)"
_HIGHER = r"(?P<adjective>higher|lower|greater|better|worse|longer|shorter|fewer|less|more|larger|smaller|faster|poorer)"

_PATTERNS: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern, re.IGNORECASE))
    for weight, pattern in (
        (
            5.0,
            rf"\b(?:whether|hypothesi[sz]ed? that|hypothesis that|if) (?P<cause>.{{4,110}}?) {_MODAL}{_ADVERBS}(?P<verb>{_VERBS}) (?P<effect>.+)",
        ),
        (
            5.0,
            rf"\b(?:whether|hypothesi[sz]ed? that|hypothesis that|if) (?P<cause>.{{4,110}}?) {_BE} (?P<sign>{_ADVERBS})(?:associated|correlated|related|linked) (?:with|to) (?P<effect>.+)",
        ),
        (
            4.5,
            r"\b(?:effects?|impact|influence) of (?P<cause>.{4,110}?) (?:on|upon) (?P<effect>.+)",
        ),
        (
            4.0,
            r"\b(?:association|relationship|correlation|link|relation)s? (?:between|of) (?P<cause>.{4,110}?) (?:and|with|to) (?P<effect>.+)",
        ),
        (
            3.5,
            rf"(?P<effect>[^,;]{{4,80}}?) (?:was|were|is|are) (?:\w+ly )?{_HIGHER} (?:in|for|with|among|after|by) (?P<cause>.{{4,80}}?) (?:than|compared (?:with|to)|versus|vs\.?) (?P<comparison>.+)",
        ),
        (
            3.5,
            rf"(?P<cause>[^,;]{{4,110}}?) {_BE} (?P<sign>{_ADVERBS})(?:associated|correlated) with (?P<effect>.+)",
        ),
        (
            3.2,
            rf"\b(?:show|shows|showed|find|found|demonstrate|demonstrated|suggest|suggests|suggested|argue|conclude|indicate|indicates|indicated|believed|thought) that (?P<cause>.{{4,110}}?) {_MODAL}{_ADVERBS}(?P<verb>{_VERBS}) (?P<effect>.+)",
        ),
        (
            3.0,
            r"\b(?:efficacy|effectiveness|usefulness|value|benefits?|role|contribution|utility|safety) of (?P<cause>.{4,110}?) (?:in|for|on|to|as) (?P<effect>.+)",
        ),
        (
            3.0,
            r"(?P<cause>[^,;]{4,110}?) (?:outperforms?|outperformed|surpass(?:es)?) (?P<comparison>.{4,80}?) (?:on|in|for) (?P<effect>.+)",
        ),
        (
            2.8,
            r"\bcompar(?:e|ed|ing) (?P<effect>.{4,80}?) (?:between|of|in|after|for) (?P<cause>.{4,80}?) (?:and|with|to|versus|vs\.?) (?P<comparison>.+)",
        ),
        (
            2.5,
            rf"(?P<cause>[^,;]{{4,90}}?) (?:can |could |may |might |would |will )?{_ADVERBS}(?P<verb>{_FINITE}) (?P<effect>.+)",
        ),
        (
            2.0,
            r"\b(?:propose|introduce|present|develop|describe|design|study|employ) (?P<cause>.{4,120}?)(?: (?:for|to|that|which|by|in)\b(?P<effect>.*)|$)",
        ),
    )
)

_SIGNS = {
    1: ["increased", "higher", "greater", "elevated", "more", "longer", "improved", "better", "increasing", "larger", "faster"],
    -1: ["decreased", "reduced", "lower", "less", "fewer", "impaired", "shorter", "worse", "poorer", "poor", "decreasing", "smaller", "low"],
}
_SIGN_OF = {word: sign for sign, words in _SIGNS.items() for word in words}

_POPULATION = (
    r"patients?|children|infants?|women|men|subjects|participants|adults|volunteers|students|physicians|"
    r"nurses|surgeons|rats|mice|animals|dogs|pigs|rabbits|specimens|procedures|cases|neonates|newborns|"
    r"residents|adolescents|individuals|families|mothers|donors|recipients|knees|eyes|hips|tumou?rs|"
    r"samples|hospitals|interviews|plants|cells|pregnancies|births|operations"
)
_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    )
} | {
    word: 10 * tens
    for tens, word in enumerate(["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=3)
}
_COUNTED = re.compile(
    rf"\b(?P<number>\d{{1,3}}(?:[,\s]\d{{3}})+|\d+|[A-Za-z]+(?:-[a-z]+)?) (?P<who>(?:[a-zA-Z][\w-]* ){{0,4}}?(?:{_POPULATION}))\b"
    r"(?P<more> (?:with|undergoing|aged|receiving|treated (?:with|for)|suffering from|diagnosed with|admitted (?:to|for)) [^.;]+)?"
)
_UNCOUNTED = re.compile(
    rf"\b(?P<who>(?:[a-z][\w-]* )?(?:{_POPULATION})) (?P<more>(?:with|undergoing|receiving|treated (?:with|for)|suffering from|diagnosed with) [^.;]+)"
)

_CUES: dict[Kind, re.Pattern[str]] = {
    "clinical": re.compile(
        r"\b(?:patients?|clinical|hospital|surg\w+|treatment|therapy|disease|mortality|cohort|women|children|care|symptoms?|diagnos\w+|trial|questionnaire|survey|participants)\b",
        re.IGNORECASE,
    ),
    "laboratory": re.compile(
        r"\b(?:cells?|mice|rats?|in vitro|in vivo|protein|gene|expression|assay|receptor|tissue|culture|enzyme|plants?|alloys?|films?|catalysts?|laser|spectr\w+|temperature|crystal\w*|synthes\w+|membrane|mitochondri\w+)\b",
        re.IGNORECASE,
    ),
    "computational": re.compile(
        r"\b(?:neural|networks?|learning|training|dataset\w*|algorithms?|deep|agents?|reinforcement|classif\w+|embedding\w*|gradient|generative|state-of-the-art|benchmarks?|simulat\w+|convolution\w*|optimi[sz]ation|encoder|models?)\b",
        re.IGNORECASE,
    ),
}

_BENCHMARK_NAMES = re.compile(
    r"\b(?:MNIST|Fashion-MNIST|CIFAR-?\d*|ImageNet|SVHN|CelebA|Atari|MuJoCo|OpenAI Gym|SQuAD|GLUE|SuperGLUE|WMT\S*|"
    r"IWSLT\S*|Penn Treebank|WikiText\S*|COCO|LSUN|Omniglot|[mM]ini-?ImageNet|Cora|Citeseer|Pubmed|KITTI|bAbI|SNLI|"
    r"MultiNLI|LibriSpeech|TIMIT|ShapeNet|ModelNet\d*|StarCraft|MiniRTS|Doom|VizDoom)\b"
)
_BENCHMARKS = re.compile(
    r"\b(?:on|across|in|over|from) ((?:[A-Za-z][\w-]* ){1,4}(?:datasets?|benchmarks?|tasks?|environments?|games?|domains?))\b"
)
_READOUT = re.compile(
    r"\b((?:[A-Za-z][\w-]* ){0,3}(?:survival|mortality|accuracy|rates?|scores?|levels?|concentrations?|expression|volume|"
    r"pressure|density|incidence|prevalence|loss|error|reward|BLEU|F1|perplexity|recurrence|sensitivity|specificity|"
    r"agreement|ratio|robustness|complications?|relief|velocity|strength|conductivity|yield|weight|size|"
    r"quality of life|latency|efficiency|likelihood|frequency|activity|duration|stay))\b"
)
_DURATION = re.compile(r"\b(\d+(?:\.\d+)?)[- ]?(hour|day|week|month|year|minute)s?\b")
_DOSE = re.compile(
    r"(?<![\d.,-])\d+(?:\.\d+)?\s?(?:mg/kg|mg/dL|mmol/L|µmol/L|mL|ml|mg|µg|μg|microg/kg|ng/mL|kg|mm|cm|nm|µm|μm|Gy|Hz|kHz|MHz|°C|kPa|MPa|GPa|mM|μM|µM|mmHg|eV|dB)(?![\w/])"
)


def read_facts(passage: str) -> Facts:
    """Read a passage; never raises, and finds something to write about in any text with words."""
    sentences = split_sentences(passage[:20_000])[:120]
    text = " ".join(sentences)
    population, count = _find_population(text)
    readouts = _most_frequent(tidy(found, max_words=4) for found in _READOUT.findall(text))
    return Facts(
        kind=_find_kind(text),
        relations=_find_relations(sentences, readouts),
        population=population,
        count=count,
        benchmarks=_find_benchmarks(text),
        readouts=readouts,
        durations=_find_durations(text),
        doses=tuple(dict.fromkeys(_DOSE.findall(text)))[:3],
    )


def _find_kind(text: str) -> Kind:
    counts: dict[Kind, int] = {kind: len(cues.findall(text)) for kind, cues in _CUES.items()}
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] >= 2 else "general"


def _find_relations(sentences: Sequence[str], readouts: Sequence[str]) -> tuple[Relation, ...]:
    """The relations of the passage, the most trustworthy first; one of its commonest terms last."""
    found: dict[tuple[str, str], Relation] = {}
    for place, sentence in enumerate(sentences):
        for relation in _relations_in(sentence[:600], readouts):
            weighted = replace(relation, weight=relation.weight + _quality(relation, place))
            known = found.get((relation.cause, relation.effect))
            if known is None or known.weight < weighted.weight:
                found[relation.cause, relation.effect] = weighted
    ranked = sorted(found.values(), key=lambda relation: -relation.weight)[:6]
    return tuple(ranked) or _fall_back(sentences, readouts)


def _relations_in(sentence: str, readouts: Sequence[str]) -> Iterator[Relation]:
    for weight, pattern in _PATTERNS:
        match = pattern.search(sentence)
        if match is None:
            continue
        parts = match.groupdict(default="")
        relation = _build_relation(parts, weight, readouts)
        if relation is not None:
            yield relation


def _build_relation(
    parts: dict[str, str], weight: float, readouts: Sequence[str]
) -> Relation | None:
    cause = tidy(_last_clause(parts["cause"]))
    effect, effect_sign = _strip_sign(tidy(parts["effect"]))
    if not effect and weight == 2.0 and readouts:
        effect = next((name for name in readouts if not shares_words(name, cause)), "")
    if not cause or not effect or shares_words(cause, effect):
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


def _strip_sign(phrase: str) -> tuple[str, int]:
    """`increased mortality` is mortality with +1."""
    first, _, rest = phrase.partition(" ")
    sign = _SIGN_OF.get(first.lower(), 0)
    if sign and rest:
        return tidy(rest) or phrase, sign
    return phrase, 0


def _sign_of_words(parts: dict[str, str]) -> int:
    adverb = parts.get("sign", "").lower()
    if "negative" in adverb or "inverse" in adverb:
        return -1
    return _SIGN_OF.get(parts.get("adjective", "").lower(), 0)


def _quality(relation: Relation, place: int) -> float:
    """Clean, short phrases and early sentences (where the aim stands) are worth more."""
    num_words = len(relation.cause.split()) + len(relation.effect.split())
    has_both = len(content_words(relation.cause)) > 1 and len(content_words(relation.effect)) > 1
    return 0.8 * has_both - 0.12 * abs(num_words - 8) - 0.05 * min(place, 10)


def _fall_back(sentences: Sequence[str], readouts: Sequence[str]) -> tuple[Relation, ...]:
    """No pattern fits: the passage's commonest terms, as a guess that one moves with another."""
    terms = [*_common_terms(sentences), *readouts]
    pairs = [
        Relation(one, other, "", 0)
        for one, other in zip(terms, terms[1:], strict=False)
        if not shares_words(one, other)
    ]
    return tuple(pairs[:3])


def _common_terms(sentences: Sequence[str]) -> list[str]:
    """Phrases of one to three words without stopwords, weighed by how often their words occur."""
    text = " ".join(sentences)
    words = Counter(content_words(text))
    phrases = re.findall(r"[A-Za-z][\w-]+(?: [A-Za-z][\w-]+){0,2}", text)
    tidied = dict.fromkeys(filter(None, (tidy(phrase, max_words=3) for phrase in phrases)))
    ranked = sorted(
        (phrase for phrase in tidied if len(content_words(phrase)) == len(phrase.split())),
        key=lambda phrase: -sum(words[word] for word in content_words(phrase)),
    )
    terms: list[str] = []
    for phrase in ranked:
        if not any(shares_words(phrase, term) for term in terms):
            terms.append(phrase)
    return terms[:4]


def _find_population(text: str) -> tuple[str, int]:
    """Who or what was studied, without the number, and the largest number given; '' and 0."""
    best, best_count = "", 0
    for match in _COUNTED.finditer(text):
        count = _read_number(match["number"])
        who = tidy(match["who"] + (match["more"] or ""), max_words=8) or match["who"]
        is_fuller = bool(match["more"]) and " with" not in best
        if count and (count > best_count or is_fuller):
            best, best_count = (who if is_fuller or not best else best), max(count, best_count)
    if not best:
        found = _UNCOUNTED.search(text)
        best = tidy(f"{found['who']} {found['more']}", max_words=8) if found else ""
    return best, best_count


def _read_number(text: str) -> int:
    digits = re.sub(r"[,\s]", "", text)
    if digits.isdigit():
        return int(digits) if len(digits) < 8 and not re.fullmatch(r"(?:19|20)\d\d", digits) else 0
    parts = text.lower().split("-")
    values = [_NUMBER_WORDS.get(part, 0) for part in parts]
    return sum(values) if all(values) else 0


def _find_benchmarks(text: str) -> tuple[str, ...]:
    named = list(dict.fromkeys(_BENCHMARK_NAMES.findall(text)))
    described = [tidy(found, max_words=5) for found in _BENCHMARKS.findall(text)]
    return tuple(dict.fromkeys([*named, *filter(None, described)]))[:3]


def _find_durations(text: str) -> tuple[str, ...]:
    found = [
        f"{number} {unit}{'' if number == '1' else 's'}" for number, unit in _DURATION.findall(text)
    ]
    return tuple(dict.fromkeys(found))[:3]


def _most_frequent(phrases: Iterator[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase, _ in Counter(filter(None, phrases)).most_common(5))
