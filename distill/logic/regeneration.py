"""Whether a rejected completion gets another attempt, and what is asked then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import model_validator

from distill.logic.blocks import block, neutralise
from distill.logic.documents import Document, between
from distill.logic.prompts import REGENERATION
from distill.logic.reasons import Reason, in_order
from distill.logic.types import Evidence, Message, Verdict


class RegenerationConfig(Document):
    """How many attempts a sample and draw gets, the first included.

    So many of them the pipeline makes by itself (`max_attempts`), and so many are made of what
    people rejected (`max_attempts_after_review`): a person's note is worth more tries.
    """

    max_attempts: Annotated[int, between(1, 5)] = 2
    max_attempts_after_review: Annotated[int, between(1, 10)] = 5
    instruction: str = REGENERATION

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_attempts_after_review < self.max_attempts:
            raise ValueError(
                f"max_attempts_after_review is {self.max_attempts_after_review}, it must be at "
                f"least max_attempts, which is {self.max_attempts}"
            )
        return self


@dataclass(frozen=True, slots=True)
class Rejection:
    """What one person held against an answer. Who it was is of no concern to a teacher."""

    reasons: tuple[Reason, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Objections:
    """All that stands against an answer: what was found, and what people wrote."""

    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()


def may_regenerate(*, attempt: int, max_attempts: int, verdict: Verdict) -> bool:
    """Another attempt is worth asking for: this one (1 is the first) failed, and some are left."""
    return not verdict.passed and attempt < max_attempts


def gather_objections(
    evidence: Sequence[Evidence], rejections: Iterable[Rejection] = ()
) -> Objections:
    """The gate's evidence, then people's reasons, each once in the order of the vocabulary.

    Their notes come in the order of the rejections, the same words once.
    """
    rejections = list(rejections)
    reasons = in_order(reason for rejection in rejections for reason in rejection.reasons)
    notes = dict.fromkeys(rejection.note.strip() for rejection in rejections)
    return Objections(
        evidence=(*evidence, *(Evidence(reason, reason.label) for reason in reasons)),
        notes=tuple(filter(None, notes)),
    )


def stricter_messages(
    messages: Sequence[Message], *, answer: str, objections: Objections, instruction: str
) -> tuple[Message, ...]:
    """The original messages with, before the line that says how to reply, what went wrong.

    That is the old answer between `<rejected_answer>` lines, each reason as `- code: detail`, the
    reviewers' notes where there are any, and the stricter instruction. The messages must be those
    of `build_messages`: the reply line is the last line of the user message, which comes last.
    """
    *earlier, user = messages
    task, _newline, reply_line = user.content.rpartition("\n")
    parts = [
        task.rstrip("\n"),
        "An earlier answer to this task was rejected:",
        block("rejected_answer", answer),
    ]
    if objections.evidence:
        parts.append("Reasons:\n" + "\n".join(map(_reason_line, objections.evidence)))
    parts += [f"A reviewer's notes:\n{neutralise(note)}" for note in objections.notes]
    parts += [instruction.strip(), reply_line]
    return (*earlier, replace(user, content="\n\n".join(parts)))


def _reason_line(finding: Evidence) -> str:
    # A detail may quote the answer: on one line, it cannot pretend to be another reason.
    detail = " ".join((finding.detail or finding.reason.label).split())
    return f"- {finding.reason}: {neutralise(detail)}"
