"""What an answer will say, before it is worded: which relation, against what, how large, how flawed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from distill.teachers.offline.facts import Facts, Kind
from distill.teachers.offline.findings import Finding
from distill.teachers.offline.phrases import shares_words
from distill.teachers.offline.relations import MEASURE, Relation


class Flaw(StrEnum):
    """What is wrong with a first attempt, where something is."""

    NONE = "none"
    VAGUE = "vague"
    NO_RULE = "no_rule"
    THIN_METHOD = "thin_method"
    GENERIC = "generic"
    TERSE = "terse"


_FLAW_SHARES = (
    (Flaw.VAGUE, 0.09),
    (Flaw.THIN_METHOD, 0.08),
    (Flaw.NO_RULE, 0.05),
    (Flaw.GENERIC, 0.02),
    (Flaw.TERSE, 0.02),
)
_OMISSION_SHARE = 0.3

# A relation below this weight was read from a loose pattern: a whole sentence is safer ground.
_SURE = 4.2
_REPORTED = "reported difference"


class Chooser:
    """Picks by the request's hash: the same name gives the same choice for the same request."""

    def __init__(self, request_hash: str) -> None:
        self._request_hash = request_hash

    def share(self, name: str) -> float:
        """A number in [0, 1)."""
        digest = hashlib.sha256(f"{self._request_hash}/{name}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64

    def pick(self, name: str, options: Sequence[str]) -> str:
        """One of the options."""
        return options[int(self.share(name) * len(options))]


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of one answer. `threshold` and `half` are differences, with their unit."""

    kind: Kind
    relation: Relation
    outcome: str
    finding: str
    reason: Relation | None
    is_intervention: bool
    direction: int
    system: str
    population: str
    comparison: str
    readout: str
    threshold: str
    half: str
    window: str
    dose: str
    num_samples: int
    flaw: Flaw
    is_careful: bool
    choose: Chooser

    def unless_left_out(self, part: str, words: str) -> str:
        """`words`, or nothing where this attempt forgets the part."""
        return "" if self.leaves_out(part) else words

    def leaves_out(self, part: str) -> bool:
        """Whether this attempt forgets a part that a careful one has: `blinding`, `sharing` …"""
        return not self.is_careful and self.choose.share(f"omit/{part}") < _OMISSION_SHARE


_BAD = re.compile(
    r"\b(?:mortality|death|error|loss|cost|complicat\w+|infection\w*|recurrence|pain|bleeding|"
    r"risk|failure|toxicity|overfitting|forgetting|variance|complexity|anxiety|depression|stress|"
    r"fatigue|relapse|injur\w+|delay|noise|bias|perplexity|latency|overhead|gap)\b",
    re.IGNORECASE,
)
_INTERVENTION = re.compile(
    r"\b(?:therap\w+|treatment\w*|surg\w+|administration|supplementation|training|intervention\w*|"
    r"program\w*|screening|vaccin\w+|injection|infusion|\w+ectomy|\w+plasty|technique|use of|drug|"
    r"dose|dosing|exercise|education|reminders?|laser|stent\w*|transplant\w*|block|anesthesia|"
    r"anaesthesia|analgesia|feedback|dressing|feeding|radiosurgery|chemotherapy|radiotherapy|"
    r"\w+mab|\w+statin|\w+pril|\w+sartan|\w+mycin|\w+cillin|\w+azole|\w+idine|\w+amine)\b",
    re.IGNORECASE,
)
_THRESHOLDS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "clinical": (("20 %", "10 %"), ("15 %", "8 %"), ("25 %", "12 %")),
    "laboratory": (("20 %", "10 %"), ("30 %", "15 %"), ("25 %", "12 %")),
    "computational": (
        ("2 percentage points", "1 percentage point"),
        ("5 %", "2 %"),
        ("3 percentage points", "1 percentage point"),
    ),
    "general": (("20 %", "10 %"), ("15 %", "8 %")),
}
_SHRINKAGES = (("50 %", "20 %"), ("40 %", "20 %"), ("60 %", "30 %"))
_CONTROLS: dict[Kind, tuple[str, ...]] = {
    "clinical": (
        "otherwise comparable {people} in whom it is absent or lowest",
        "matched {people} without it",
    ),
    "laboratory": ("matched controls without it", "untreated controls handled in parallel"),
    "computational": (
        "the same pipeline with this one part removed",
        "an identical baseline without it",
    ),
    "general": ("otherwise comparable cases without it", "a matched reference without it"),
}
_FREE_RUNS: dict[Kind, str] = {
    "clinical": "participants in whom it varies freely",
    "laboratory": "otherwise identical samples in which it varies as before",
    "computational": "the original set-up in which it varies as before",
    "general": "an otherwise identical set-up in which it varies as before",
}
_WINDOWS: dict[Kind, str] = {
    "clinical": "at 6 months",
    "laboratory": "at the end of a 24 hour exposure",
    "computational": "at an equal training budget",
    "general": "over the whole observation period",
}


def make_plan(facts: Facts, choose: Chooser, *, is_second_attempt: bool) -> Plan | None:
    """Decide what to say; None where the passage holds nothing to relate."""
    if not facts.relations and not facts.finding:
        return None
    if facts.finding and not any(_is_sure(facts.kind, relation) for relation in facts.relations):
        facts = _lean_on_finding(facts, facts.finding)
    relation = _pick_relation(facts, choose)
    is_reported = relation.effect == _REPORTED
    thresholds = _SHRINKAGES if is_reported else _THRESHOLDS[facts.kind]
    threshold, half = thresholds[int(choose.share("threshold") * len(thresholds))]
    people = _people(facts)
    return Plan(
        kind=facts.kind,
        relation=relation,
        outcome=_outcome(facts.kind, relation.effect),
        finding=facts.finding.sentence if is_reported and facts.finding else "",
        reason=_pick_reason(facts, relation),
        is_intervention=bool(_INTERVENTION.search(relation.cause)),
        direction=relation.direction or _likely_direction(facts.kind, relation),
        system=_system(facts, relation),
        population=people,
        comparison=relation.comparison
        or choose.pick("control", _CONTROLS[facts.kind]).format(people=people),
        readout=_readout(facts, relation),
        threshold=threshold,
        half=half,
        window=f"after {facts.durations[0]}" if facts.durations else _WINDOWS[facts.kind],
        dose=facts.doses[0] if facts.doses else "",
        num_samples=min(max(60, 2 * facts.count), 1200),
        flaw=Flaw.NONE if is_second_attempt else _pick_flaw(choose),
        is_careful=is_second_attempt,
        choose=choose,
    )


def _lean_on_finding(facts: Facts, finding: Finding) -> Facts:
    """Relate a reported difference to a term of the passage, instead of a doubtful pair."""
    relation = Relation(
        cause=f"holding {finding.term} constant",
        effect=_REPORTED,
        verb="reduce",
        direction=-1,
        comparison=_FREE_RUNS[facts.kind],
        weight=_SURE,
    )
    return replace(facts, relations=(relation,))


def _is_sure(kind: Kind, relation: Relation) -> bool:
    """Read from a tight pattern; for computing, where anything is "improved", also a quantity."""
    is_tight = relation.weight >= _SURE
    return is_tight and (kind != "computational" or bool(MEASURE.search(relation.effect)))


def _pick_relation(facts: Facts, choose: Chooser) -> Relation:
    """Mostly the best one; another that is nearly as good gives further draws something new."""
    first, *others = facts.relations
    near = [relation for relation in others if relation.weight >= first.weight - 1.0]
    if near and choose.share("relation") > 0.7:
        return near[int(choose.share("other") * len(near))]
    return first


def _outcome(kind: Kind, effect: str) -> str:
    """The effect as a quantity: `pelvic inflammatory disease` becomes its rate."""
    if effect == _REPORTED:
        return f"the {effect}"
    if MEASURE.search(effect):
        return effect
    if kind == "computational":
        return "the held-out score"
    return f"the rate of {effect}" if kind == "clinical" else f"the measured level of {effect}"


def _pick_reason(facts: Facts, relation: Relation) -> Relation | None:
    """A second relation of the passage that says something else: the ground for the claim."""
    for other in facts.relations:
        if not shares_words(other.effect, relation.effect) and other.weight >= 2.5:
            return other
    return None


def _likely_direction(kind: Kind, relation: Relation) -> int:
    """What one would expect where the passage does not say: treatments help, methods improve."""
    helps = kind == "computational" or bool(_INTERVENTION.search(relation.cause))
    return -1 if helps and _BAD.search(relation.effect) else 1


def _people(facts: Facts) -> str:
    return facts.population.split(" ")[0] if _is_plain(facts.population) else "participants"


def _is_plain(population: str) -> bool:
    first = population.split(" ", maxsplit=1)[0]
    return first.endswith(("s", "n")) and first.islower() and len(first) > 2


def _system(facts: Facts, relation: Relation) -> str:
    """Where the claim holds, with its preposition; '' where the passage does not say."""
    if facts.kind == "computational" and facts.benchmarks:
        return f"on {' and '.join(facts.benchmarks[:2])}"
    if facts.population and not shares_words(facts.population, relation.cause):
        return f"in {facts.population}"
    return ""


def _readout(facts: Facts, relation: Relation) -> str:
    for readout in facts.readouts:
        if not shares_words(readout, relation.effect) and not shares_words(readout, relation.cause):
            return readout
    return ""


def _pick_flaw(choose: Chooser) -> Flaw:
    share = choose.share("flaw")
    for flaw, rate in _FLAW_SHARES:
        share -= rate
        if share < 0:
            return flaw
    return Flaw.NONE
