"""What a judge is asked, and how its reply is read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from typing import Self

from pydantic import model_validator

from distill.logic import prompts
from distill.logic.blocks import block
from distill.logic.documents import Document
from distill.logic.json_reply import read_json_object
from distill.logic.reasons import Reason
from distill.logic.storable import storable
from distill.logic.types import Evidence, Message, Scores

FLAG_CHARACTERS = 100
"""A flag is a short code; what is longer is cut."""

_DIGEST_CHARACTERS = 12
_VERSION_CHARACTERS = 40 - 1 - _DIGEST_CHARACTERS


class Dimension(Document):
    """One thing that a judge scores from 0 to 1."""

    name: str
    description: str


DEFAULT_DIMENSIONS = (
    Dimension(
        name="plausibility",
        description="The claim fits what is known in the field and has a mechanism that could be "
        "true. 0: contradicts established knowledge; 1: a specialist would find it worth testing.",
    ),
    Dimension(
        name="falsifiability",
        description="It names variables, the direction of the effect and a measurable outcome, so "
        "that one feasible observation could prove it wrong. 0: no observation could; 1: the "
        "refuting result is stated.",
    ),
    Dimension(
        name="method_rigour",
        description="The steps are ordered, parameterised and unambiguous, with a perturbation, "
        "controls and a readout that decides the question. An answer that was only asked for a "
        "hypothesis is scored on how directly it can be tested.",
    ),
    Dimension(
        name="reproducibility",
        description="Another laboratory could repeat it from the text alone: system, amounts, "
        "durations, replicates, analysis. For a hypothesis alone: its terms are defined well "
        "enough to be measured in the same way elsewhere.",
    ),
    Dimension(
        name="grounding",
        description="Every variable, mechanism and number comes from the passage or is marked as "
        "a choice. 0: about something else, or invented facts or citations; 1: all traceable.",
    ),
)


class Rubric(Document):
    """The dimensions of a judgement. A changed text is a new version."""

    version: str = "1"
    dimensions: tuple[Dimension, ...] = DEFAULT_DIMENSIONS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("dimensions must name at least one dimension, each once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dimension.name for dimension in self.dimensions)

    def only(self, names: Collection[str]) -> Rubric:
        """The rubric with these dimensions alone; the whole one where none is named."""
        if not names:
            return self
        kept = tuple(item for item in self.dimensions if item.name in names)
        return Rubric(version=self.version, dimensions=kept)


@lru_cache(maxsize=64)
def rubric_stamp(rubric: Rubric, role: str = "") -> str:
    """`version@digest`, at most 40 characters: another text or another role is another stamp."""
    texts = [role, *(f"{item.name}\n{item.description}" for item in rubric.dimensions)]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return f"{rubric.version[:_VERSION_CHARACTERS]}@{digest[:_DIGEST_CHARACTERS]}"


def build_judge_messages(
    rubric: Rubric, *, passage: str, answer: str, role: str = ""
) -> tuple[Message, ...]:
    """The chat that asks a judge to score one answer against its passage.

    `rubric` holds the dimensions that this judge is asked for; `role` says what it looks at.
    """
    told = f"Your part: {role.strip()}\n\n" if role.strip() else ""
    names = ", ".join(f'"{name}"' for name in rubric.names)
    dimensions = "\n".join(f"- {item.name}: {item.description}" for item in rubric.dimensions)
    user = f"""\
{told}Score the answer on each dimension from 0 (fails) to 1 (fully met). Use the whole scale, with two \
decimals, and keep 1 for what you could not improve.

{block("passage", passage)}

{block("answer", answer)}

Dimensions:
{dimensions}

"rationale" is one or two sentences that name the weakest point.
"flags" is a list of short codes in snake_case, empty if nothing is wrong. Use a code that starts \
with "safety" (such as "safety_pathogen", "safety_explosive", "safety_dual_use") where carrying \
out the answer could do serious harm, and codes such as "citation" or "off_topic" for the rest.

Reply with a JSON object with exactly these keys: "scores", "rationale", "flags".
"scores" has exactly these keys, each a number from 0 to 1: {names}."""
    return (Message("system", prompts.JUDGE_SYSTEM), Message("user", user))


@lru_cache(maxsize=64)
def judgement_schema(rubric: Rubric) -> dict[str, object]:
    """The JSON schema of a judge's reply, strict: a score per dimension, rationale, flags.

    Scores have no bounds in it, because not every provider takes them; `parse_judgement` checks.
    Do not change it: all callers share it.
    """
    scores = {
        "type": "object",
        "properties": {name: {"type": "number"} for name in rubric.names},
        "required": list(rubric.names),
        "additionalProperties": False,
    }
    properties = {
        "scores": scores,
        "rationale": {"type": "string"},
        "flags": {"type": "array", "items": {"type": "string"}},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_judgement(rubric: Rubric, text: str, *, judge: str) -> Scores | Evidence:
    """The judge's scores, or why its reply is invalid (JUDGE_INVALID).

    Read as any JSON reply: `json_reply` lists what is repaired (a code fence, prose around the
    object) and nothing else is: no number in quotes, no 80 of 100. Every dimension of the rubric must be there, no
    other, each a number from 0 to 1. A missing rationale is blank, missing flags are none. Flags
    come out in lower case, each once.
    """
    reply = read_json_object(text)
    if reply is None:
        return _invalid(judge, "no JSON object")
    scores = reply.get("scores")
    if not isinstance(scores, dict):
        return _invalid(judge, '"scores" is missing or no object')
    fault = _fault_in_scores(rubric, scores)
    if fault:
        return _invalid(judge, fault)
    rationale = "" if reply.get("rationale") is None else reply["rationale"]
    if not isinstance(rationale, str):
        return _invalid(judge, '"rationale" is no text')
    flags = _read_flags(reply.get("flags"))
    if flags is None:
        return _invalid(judge, '"flags" is no list of texts')
    by_dimension = {name: float(scores[name]) for name in rubric.names}
    return Scores(judge, by_dimension, storable(rationale).strip(), flags)


def _invalid(judge: str, fault: str) -> Evidence:
    return Evidence(Reason.JUDGE_INVALID, f"judge {judge}: {storable(fault).strip()}")


def _fault_in_scores(rubric: Rubric, scores: dict[str, object]) -> str:
    missing = [name for name in rubric.names if name not in scores]
    if missing:
        return f"no score for {', '.join(missing)}"
    extra = sorted(set(scores) - set(rubric.names))
    if extra:
        return f"a score for {', '.join(extra)[:80]}, which the rubric does not have"
    for name in rubric.names:
        if not _is_score(scores[name]):
            return f"{name} is {scores[name]!r:.40}, not a number from 0 to 1"
    return ""


def _is_score(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 1


def _read_flags(flags: object) -> tuple[str, ...] | None:
    if flags is None:
        return ()
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        return None
    clean = (storable(flag, limit=FLAG_CHARACTERS).strip().lower() for flag in flags)
    return tuple(dict.fromkeys(flag for flag in clean if flag))
