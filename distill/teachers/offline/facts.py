"""What a passage says, as far as patterns can tell: who was studied, what moves what, in numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from distill.teachers.offline.findings import Finding, find_finding, key_terms
from distill.teachers.offline.phrases import shares_words, split_sentences, tidy
from distill.teachers.offline.relations import POPULATION, Relation, find_relations

Kind = Literal["clinical", "laboratory", "computational", "general"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the writer needs; every list may be empty."""

    kind: Kind
    relations: tuple[Relation, ...]
    finding: Finding | None
    population: str
    count: int
    benchmarks: tuple[str, ...]
    readouts: tuple[str, ...]
    durations: tuple[str, ...]
    doses: tuple[str, ...]


_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {
    word: 10 * tens
    for tens, word in enumerate(
        ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=3
    )
}

_COUNTED = re.compile(
    rf"\b(?P<number>\d{{1,3}}(?:[,\s]\d{{3}})+|\d+|[A-Za-z]+(?:-[a-z]+)?) (?P<who>(?:[a-zA-Z][\w-]* ){{0,4}}?(?:{POPULATION}))\b"
    r"(?P<more> (?:with|undergoing|aged|receiving|treated (?:with|for)|suffering from|diagnosed with|admitted (?:to|for)) [^.;]+)?"
)

_UNCOUNTED = re.compile(
    rf"\b(?P<who>(?:[a-z][\w-]* )?(?:{POPULATION})) (?P<more>(?:with|undergoing|receiving|treated (?:with|for)|suffering from|diagnosed with) [^.;]+)"
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
    r"(?<![\w-])((?:[A-Za-z0-9][\w-]* ){0,3}(?:survival|mortality|accuracy|rates?|scores?|levels?|concentrations?|expression|volume|"
    r"pressure|density|incidence|prevalence|loss|error|reward|BLEU|F1|perplexity|recurrence|sensitivity|specificity|"
    r"agreement|ratio|robustness|complications?|relief|velocity|strength|conductivity|yield|weight|size|"
    r"quality of life|latency|efficiency|likelihood|frequency|activity|duration|stay))\b"
)

_DURATION = re.compile(
    r"(?<![\d.±-])\b(\d{1,3})[- ]?(hour|day|week|month|year|minute)s?\b(?! old| of age)"
)

_DOSE = re.compile(
    r"(?<![\d.,-])\d+(?:\.\d+)?\s?(?:mg/kg|mg/dL|mmol/L|µmol/L|mL|ml|mg|µg|μg|microg/kg|ng/mL|kg|mm|cm|nm|µm|μm|Gy|Hz|kHz|MHz|°C|kPa|MPa|GPa|mM|μM|µM|mmHg|eV|dB)(?![\w/])"
)


@lru_cache(maxsize=512)
def read_facts(passage: str) -> Facts:
    """Read a passage; never raises, and finds something to write about in any text with words."""
    sentences = split_sentences(passage[:20_000])[:120]
    text = " ".join(sentences)
    population, count = _find_population(text)
    readouts = _most_frequent(tidy(found, max_words=4) for found in _READOUT.findall(text))
    return Facts(
        kind=_find_kind(text),
        relations=find_relations(sentences, readouts) or _fall_back(sentences, readouts),
        finding=find_finding(sentences),
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


def _fall_back(sentences: Sequence[str], readouts: Sequence[str]) -> tuple[Relation, ...]:
    """No pattern fits: the passage's commonest terms, as a guess that one moves with another."""
    terms = [*key_terms(sentences), *readouts]
    pairs = [
        Relation(one, other, "", 0)
        for one, other in pairwise(terms)
        if not shares_words(one, other)
    ]
    return tuple(pairs[:3])


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
        f"{number} {unit}{'' if number == '1' else 's'}"
        for number, unit in _DURATION.findall(text)
        if number != "0" and (unit != "year" or int(number) <= 10)
    ]
    return tuple(dict.fromkeys(found))[:3]


def _most_frequent(phrases: Iterator[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase, _ in Counter(filter(None, phrases)).most_common(5))
