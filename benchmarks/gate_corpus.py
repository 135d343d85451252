"""Generated completions of 2 kB with planted faults, and the sources that they were asked about.

Words, sentences and marks have the statistics of real abstracts (`gate_corpus.json`, counted by
`corpus_statistics`); the words themselves are made up of pairs of letters, but for the hundred
commonest. Number n of a corpus depends on its seed and n alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from distill.logic.types import RuleText

CHARS = 2_000
SOURCE_CHARS = 1_500
_NUM_SENTENCES = 20_000
_STATISTICS = Path(__file__).with_name("gate_corpus.json")

_STEPS = (
    "Prepare {} replicates of the {} and the {} in each group.",
    "Measure the {} of the {} before and after exposure.",
    "Compare the {} with the untreated control under the same {}.",
    "Increase the {} in {} equal increments and record the {}.",
    "Randomly assign each {} to the {} condition.",
    "Analyze the {} with a mixed model, taking the {} as a random effect.",
    "Incubate the {} for {} hours at 37 °C.",
    "Repeat the {} with the {} held constant.",
)
_HYPOTHESIS = (
    "If the {} of the {} is increased by {} %, then the {} will decrease compared with the control,"
    " because the {} depends on the {}."
)
_OTHER_LANGUAGE = (
    "Wenn die Temperatur der Probe erhöht wird, dann nimmt die Ausbeute ab, weil die Reaktion nicht"
    " mehr im Gleichgewicht ist. Die Messung wird mit einer Kontrolle verglichen und wiederholt. "
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is planted into a completion, and into how many of them."""

    share: float
    plant: Callable[[RuleText, random.Random], RuleText]


def _insert(text: str) -> Callable[[RuleText, random.Random], RuleText]:
    """Somewhere between two steps of the method."""

    def plant(whole: RuleText, rng: random.Random) -> RuleText:
        lines = whole.fields["methodology"].split("\n")
        lines[rng.randrange(len(lines))] += f" {text}"
        return _written(whole, whole.fields["hypothesis"], "\n".join(lines))

    return plant


def _begin(text: str) -> Callable[[RuleText, random.Random], RuleText]:
    def plant(whole: RuleText, _rng: random.Random) -> RuleText:
        return _written(whole, text + whole.fields["hypothesis"], whole.fields["methodology"])

    return plant


def _shorten(whole: RuleText, _rng: random.Random) -> RuleText:
    return _written(whole, whole.fields["hypothesis"][:40], whole.fields["methodology"][:40])


def _cut(whole: RuleText, rng: random.Random) -> RuleText:
    method = whole.fields["methodology"]
    return _written(whole, whole.fields["hypothesis"], method[: -rng.randint(8, 20)].rstrip(". "))


def _empty(whole: RuleText, _rng: random.Random) -> RuleText:
    return _written(whole, whole.fields["hypothesis"], "n/a")


def _repeat(whole: RuleText, _rng: random.Random) -> RuleText:
    line = whole.fields["methodology"].split("\n")[0]
    return _written(whole, whole.fields["hypothesis"], " ".join([line] * (CHARS // len(line))))


def _translate(whole: RuleText, _rng: random.Random) -> RuleText:
    return _written(whole, _OTHER_LANGUAGE, _OTHER_LANGUAGE * (CHARS // len(_OTHER_LANGUAGE)))


def _copy(whole: RuleText, _rng: random.Random) -> RuleText:
    return _written(whole, whole.fields["hypothesis"], whole.source)


def _written(whole: RuleText, hypothesis: str, methodology: str) -> RuleText:
    fields = {"hypothesis": hypothesis, "methodology": methodology}
    return replace(whole, text=f"{hypothesis}\n\n{methodology}", fields=fields)


FAULTS = {
    "too_short": Fault(0.02, _shorten),
    "cut_short": Fault(0.02, _cut),
    "empty_field": Fault(0.01, _empty),
    "broken_formatting": Fault(0.02, _insert("\n```python\nprint(1)")),
    "placeholder": Fault(0.01, _insert("Use {placeholder} [insert dose here].")),
    "repetition": Fault(0.02, _repeat),
    "other_language": Fault(0.01, _translate),
    "refusal": Fault(0.02, _begin("I'm sorry, but I cannot help with that. ")),
    "hedging": Fault(0.01, _begin("As far as I know, it might perhaps possibly be that maybe. ")),
    "citation": Fault(0.03, _insert("This follows (Smith et al., 2020) and earlier work [12].")),
    "copied_source": Fault(0.02, _copy),
    "hazard": Fault(0.005, _insert("Synthesize the nerve agent sarin in the hood.")),
    "pathogen": Fault(0.005, _insert("Culture the Ebola virus in a BSL-4 laboratory.")),
    "personal_data": Fault(0.005, _insert("Write to jane.doe@example.org, +1 415 555 0132.")),
}
"""By the code of the rule that is to find it. Every other completion has none planted."""


class Corpus:
    """Texts by number; the same for the same seed, in any process."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        statistics: dict[str, Any] = json.loads(_STATISTICS.read_text())
        rng = random.Random(f"words {seed}")
        self._words = [*statistics["common"], *_make_words(statistics, rng)]
        self.sentences = _make_sentences(statistics, self._words, rng)

    def rows(self, start: int, stop: int) -> Iterator[RuleText]:
        """The completions of these numbers, each with its source."""
        return (self.row(number) for number in range(start, stop))

    def row(self, number: int) -> RuleText:
        """A completion with its source; one in five has a fault of `FAULTS`."""
        rng = random.Random(f"{self._seed} {number}")
        return self._faulty(self._sound(rng), rng)

    def planted(self, number: int) -> str:
        """The code of the fault that was planted into this completion; "" for none."""
        rng = random.Random(f"{self._seed} {number}")
        self._sound(rng)
        return _choose_fault(rng)

    def passage(self, rng: random.Random, chars: int = SOURCE_CHARS) -> list[str]:
        """Sentences of about so many characters in all."""
        chosen: list[str] = []
        while sum(map(len, chosen)) + len(chosen) < chars:
            chosen.append(rng.choice(self.sentences))
        return chosen

    def _faulty(self, whole: RuleText, rng: random.Random) -> RuleText:
        code = _choose_fault(rng)
        return FAULTS[code].plant(whole, rng) if code else whole

    def _sound(self, rng: random.Random) -> RuleText:
        source = self.passage(rng)
        terms = [word for word in " ".join(source).split() if len(word) > 4 and word.isalpha()]
        hypothesis = _fill(_HYPOTHESIS, terms, rng)
        steps: list[str] = []
        length = len(hypothesis)
        while length < CHARS - 60:
            step = f"{len(steps) + 1}. {_fill(rng.choice(_STEPS), terms, rng)}"
            # Half of what is said further is the source's, in other words.
            further = _reworded(rng.choice(source), terms, rng)
            steps.append(f"{step} {further}" if len(steps) % 2 else step)
            length += len(steps[-1]) + 1
        blank = RuleText("", " ".join(source), tokens=CHARS // 4)
        return _written(blank, hypothesis, "\n".join(steps))


@cache
def open_corpus(seed: int = 0) -> Corpus:
    """The corpus of a seed; made once in a process, which takes a second or two."""
    return Corpus(seed)


def _choose_fault(rng: random.Random) -> str:
    drawn = rng.random()
    for code, fault in FAULTS.items():
        drawn -= fault.share
        if drawn < 0:
            return code
    return ""


def _fill(frame: str, terms: list[str], rng: random.Random) -> str:
    return frame.format(*(rng.choice(terms).lower() for _ in range(frame.count("{}"))))


def _reworded(sentence: str, terms: list[str], rng: random.Random) -> str:
    """The sentence with every third word or so replaced."""
    words = [rng.choice(terms) if rng.random() < 0.3 else word for word in sentence.split()]
    return " ".join(words).rstrip(".,") + "."


def _make_words(statistics: dict[str, Any], rng: random.Random) -> list[str]:
    pairs = {
        first: (list(after), list(after.values()))
        for first, after in statistics["letter_pairs"].items()
    }
    known = set(statistics["common"])
    words: list[str] = []
    while len(words) < statistics["vocabulary"] - len(statistics["common"]):
        length = max(2, min(24, _draw(statistics["vocabulary_chars"], rng)))
        word, last = "", " "
        while len(word) < length:
            last = rng.choices(*pairs[last])[0]
            word += last
        if word not in known:
            known.add(word)
            words.append(word)
    # What is said often is short, as a rule.
    return sorted(words, key=lambda word: len(word) + rng.gauss(0, 4))


def _make_sentences(statistics: dict[str, Any], words: list[str], rng: random.Random) -> list[str]:
    common = list(statistics["common"].values())
    ranks = np.arange(len(common) + 1, len(words) + 1, dtype=float)
    rare = ranks ** -statistics["zipf_exponent"]
    weights = np.concatenate([common, rare / rare.sum() * (1 - sum(common))])
    lengths = [max(4, _draw(statistics["sentence_words"], rng)) for _ in range(_NUM_SENTENCES)]
    drawn = iter(rng.choices(words, cum_weights=weights.cumsum().tolist(), k=sum(lengths)))
    marks = statistics["marks"]
    return [
        _sentence(_marked(next(drawn), marks, rng) for _ in range(length)) for length in lengths
    ]


def _sentence(words: Iterable[str]) -> str:
    line = " ".join(words).rstrip(",")
    return f"{line[0].upper()}{line[1:]}."


def _marked(word: str, marks: dict[str, float], rng: random.Random) -> str:
    """The word, or what stands where a number, an acronym, a parenthesis … would."""
    drawn = rng.random()
    number = rng.randint(2, 300)
    kinds = {
        "percent": f"{number / 3:.1f}%",
        "number": str(number),
        "acronym": word[:4].upper(),
        "parenthesis": f"({word})",
        "hyphen": f"{word}-{word[:3]}",
        "comma": f"{word},",
        "not_ascii": f"{word}±",
    }
    for name, marked in kinds.items():
        drawn -= marks[name]
        if drawn < 0:
            return marked
    return word


def _draw(quantiles: list[float], rng: random.Random) -> int:
    """A value between two neighbouring quantiles; the last twentieth's far end is left out."""
    place = rng.random() * (len(quantiles) - 2)
    low = int(place)
    return round(quantiles[low] + (quantiles[low + 1] - quantiles[low]) * (place - low))
