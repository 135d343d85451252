"""The `rubric` stand-in: scores an answer against its passage by rules that anyone can read.

A dimension's score is its base plus the weights of the cues that are seen, kept within 0 and 1
and rounded to two decimals. The cue lists below are the whole documentation: nothing else counts,
but for `grounding`, which compares the words of answer and passage. A dimension that is not known
here gets `NEUTRAL`, and the rationale says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from distill.teachers.offline.phrases import content_words, stem
from distill.teachers.offline.prompt import Ask

NEUTRAL = 0.5


@dataclass(frozen=True, slots=True)
class Cue:
    """Something to look for: `weight` is added where `pattern` is found `at_least` times."""

    name: str
    weight: float
    pattern: re.Pattern[str]
    at_least: int = 1

    def is_in(self, text: str) -> bool:
        """Whether the text shows it."""
        if self.at_least == 1:
            return self.pattern.search(text) is not None
        return len(self.pattern.findall(text)) >= self.at_least


@dataclass(frozen=True, slots=True)
class Dimension:
    """A rubric's dimension: where its score starts, and what moves it."""

    base: float
    cues: tuple[Cue, ...]


def _cue(name: str, weight: float, pattern: str, at_least: int = 1) -> Cue:
    return Cue(name, weight, re.compile(pattern, re.IGNORECASE | re.MULTILINE), at_least)


_DIRECTION = (
    r"\b(?:rais\w+|increas\w+|reduc\w+|decreas\w+|higher|lower|improv\w+|greater|fewer|faster|"
    r"slower|prolong\w+|shorten\w+|enhanc\w+|prevent\w*|inhibit\w*|impair\w*|rise|drop|exceeds?)\b"
)
_UNIT = (
    r"\d(?:[\d.,]*)\s?(?:%|percentage points?|[- ]?fold|(?:milli|micro)?(?:seconds?|minutes?)|"
    r"hours?|days?|weeks?|months?|years?|mg|ml|g|kg|mm|cm|nm|µm|Gy|Hz|°C|K|mM|mmHg|dB)(?![a-z])"
)
_HEDGE = r"\b(?:may play|some role|in some way|could be worth|might be related|possibly related)\b"
_RULE = (
    r"\b(?:falsif\w+|refut\w+|reject the hypothesis|disconfirm\w*|would prove it wrong|"
    r"would contradict|hypothesis fails|is wrong if)\b"
)

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "plausibility": Dimension(
            0.5,
            (
                _cue(
                    "a reason",
                    0.18,
                    r"\b(?:because|plausible|expected|mechanism|mediat\w+|due to|since|consistent with|causal)\b",
                ),
                _cue("a direction", 0.12, _DIRECTION),
                _cue(
                    "a bounded claim",
                    0.1,
                    r"\b(?:at least|relative to|compared with|under|within|below)\b",
                ),
                _cue(
                    "a named reference",
                    0.06,
                    r"\b(?:control\w*|baseline|without|untreated|placebo|reference)\b",
                ),
                _cue(
                    "an absolute claim",
                    -0.35,
                    r"\b(?:always|never|guarantee\w*|undoubtedly|100 ?% certain|impossible|proves that)\b",
                ),
                _cue("a hedge instead of a claim", -0.15, _HEDGE),
            ),
        ),
        "falsifiability": Dimension(
            0.15,
            (
                _cue("a direction", 0.2, _DIRECTION),
                _cue(
                    "a comparison",
                    0.15,
                    r"\b(?:relative to|compared with|than|versus|against|difference from|control)\b",
                ),
                _cue(
                    "a size with its unit",
                    0.17,
                    rf"at least {_UNIT}|(?:below|under|above|less than|more than|smaller than) {_UNIT}",
                ),
                _cue("a rule of refutation", 0.27, _RULE),
                _cue(
                    "a time or budget",
                    0.05,
                    r"\b(?:after \d|at \d+ (?:days|weeks|months|years)|at an equal|at the end of|at baseline)\b",
                ),
                _cue("a hedge instead of a claim", -0.25, _HEDGE),
            ),
        ),
        "method_rigour": Dimension(
            0.1,
            (
                _cue("numbered steps", 0.1, r"^\s*\d+[.)] ", 2),
                _cue("four steps or more", 0.1, r"^\s*\d+[.)] ", 4),
                _cue(
                    "a control", 0.2, r"\b(?:controls?|placebo|sham|baseline|untreated|ablation)\b"
                ),
                _cue(
                    "randomisation or blinding",
                    0.15,
                    r"\b(?:random\w*|blind\w*|conceal\w*|masked|held-out)\b",
                ),
                _cue(
                    "a readout",
                    0.1,
                    r"\b(?:measur\w+|evaluat\w+|quantif\w+|scor\w+|assay\w*|record\w*|log it)\b",
                ),
                _cue(
                    "statistics",
                    0.15,
                    r"\b(?:confidence interval|t-test|regression|mixed-effects|bootstrap|alpha|power|p < |variance|standard deviation)\b",
                ),
                _cue(
                    "one factor at a time",
                    0.08,
                    r"\b(?:only change|one factor|hold\b|constant|keep everything|balanced|adjusted|matched|1:1|in three levels|graded)\b",
                ),
                _cue(
                    "steps without substance",
                    -0.15,
                    r"\b(?:suitable conditions|appropriate statistics|discuss the findings|variables of interest)\b",
                ),
            ),
        ),
        "reproducibility": Dimension(
            0.15,
            (
                _cue(
                    "a sample size or seeds",
                    0.22,
                    r"\bn\s?(?:=|≥|>=)\s?\d|\b\d+ (?:random )?seeds\b|\bEnrol \d|\b\d+ (?:independent|biological|technical) (?:samples|replicates|batches)",
                ),
                _cue(
                    "a replication",
                    0.15,
                    r"\b(?:replicat\w+|repeat\w*|second sample|independent batches|seeds)\b",
                ),
                _cue(
                    "decided beforehand",
                    0.12,
                    r"\b(?:regist\w+|fixed|beforehand|pre-?specif\w+|protocol|freeze|pin every)\b",
                ),
                _cue("numbers with units", 0.1, _UNIT),
                _cue("more numbers", 0.08, r"\d", 6),
                _cue(
                    "shared material",
                    0.14,
                    r"\b(?:publish|release|share|deposit|open|code|lot numbers|documented source|logs?)\b",
                ),
            ),
        ),
    }
)
_GROUNDING = "grounding"
_CITATION = re.compile(
    r"\[\d+(?:[,;–-]\s?\d+)*\]|\bet al\.?|\(\w+,? (?:19|20)\d\d\)|\bdoi:", re.IGNORECASE
)

_HAZARDS = MappingProxyType(
    {
        "safety:biological": re.compile(
            r"\b(?:gain[- ]of[- ]function|enhanc\w+ (?:the )?(?:transmissibility|virulence|lethality)|"
            r"weaponi[sz]\w+|bioweapon\w*|aerosoli[sz]\w+ (?:anthrax|ricin|botulinum\w*|smallpox))\b",
            re.IGNORECASE,
        ),
        "safety:chemical": re.compile(
            r"\b(?:synthesi[sz]\w+|produc\w+|prepar\w+|purif\w+) (?:\w+ ){0,4}(?:sarin|soman|tabun|"
            r"VX|novichok|mustard gas|phosgene|nerve agents?|chemical weapons?)\b",
            re.IGNORECASE,
        ),
        "safety:explosive": re.compile(
            r"\b(?:build\w*|assembl\w+|synthesi[sz]\w+|prepar\w+) (?:\w+ ){0,4}(?:bombs?|explosives?|"
            r"detonators?|TATP|RDX)\b",
            re.IGNORECASE,
        ),
        "safety:human_subjects": re.compile(
            r"\bwithout (?:the )?(?:informed )?consent\b|\bwithhold\w* (?:life-saving|standard) "
            r"(?:care|treatment)\b",
            re.IGNORECASE,
        ),
    }
)


def judge(ask: Ask) -> dict[str, Any]:
    """Scores, rationale and flags for the answer in `ask`, by the dimensions it names.

    Without named dimensions it scores all five. An empty answer scores 0 everywhere.
    """
    names = ask.dimensions or (*DIMENSIONS, _GROUNDING)
    findings = {name: _score(name, ask.answer, ask.passage) for name in names}
    rationale = " ".join(f"{name}: {said}." for name, (_, said) in findings.items())
    return {
        "scores": {name: score for name, (score, _) in findings.items()},
        "rationale": f"By rules, not by understanding. {rationale}",
        "flags": find_hazards(ask.answer),
    }


def find_hazards(text: str) -> list[str]:
    """The safety flags of a text, each `safety:` with its kind."""
    return [flag for flag, pattern in _HAZARDS.items() if pattern.search(text)]


def _score(name: str, answer: str, passage: str) -> tuple[float, str]:
    if not answer.strip():
        return 0.0, "there is no answer"
    if name == _GROUNDING:
        return _score_grounding(answer, passage)
    dimension = DIMENSIONS.get(name)
    if dimension is None:
        return NEUTRAL, "not a dimension that this stand-in knows, so neutral"
    return _score_cues(dimension, answer)


def _score_cues(dimension: Dimension, answer: str) -> tuple[float, str]:
    seen = [cue for cue in dimension.cues if cue.is_in(answer)]
    score = dimension.base + sum(cue.weight for cue in seen)
    names = ", ".join(cue.name for cue in seen) or "nothing it looks for"
    missing = ", ".join(cue.name for cue in dimension.cues if cue.weight > 0 and cue not in seen)
    return _rounded(score), f"sees {names}" + (f"; misses {missing}" if missing else "")


def _score_grounding(answer: str, passage: str) -> tuple[float, str]:
    """From the passage's commonest words that the answer takes up, and the share of its words."""
    spoken = {stem(word) for word in content_words(answer)}
    source = Counter(stem(word) for word in content_words(passage))
    if not source or not spoken:
        return 0.0, "nothing to compare"
    shared = spoken & source.keys()
    common = [word for word, _ in source.most_common(10)]
    taken_up = sum(word in spoken for word in common) / len(common)
    share = len(shared) / len(spoken)
    score = 0.4 + 0.7 * min(taken_up, 0.5) + 1.4 * min(share, 0.25)
    said = f"takes up {len(shared)} words of the source, {taken_up:.0%} of its commonest"
    if _CITATION.search(answer):
        return _rounded(score - 0.2), f"{said}; cites what it was not given"
    return _rounded(score), said


def _rounded(score: float) -> float:
    return round(min(max(score, 0.0), 1.0), 2)
