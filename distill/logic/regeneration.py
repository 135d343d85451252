"""Whether a rejected completion gets another attempt, and what is asked then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from distill.logic.blocks import block, neutralise
from distill.logic.documents import Document, between
from distill.logic.prompts import REGENERATION
from distill.logic.types import Evidence, Message, Verdict


class RegenerationConfig(Document):
    """`max_attempts` counts all attempts of a sample and draw, the first included."""

    max_attempts: Annotated[int, between(1, 5)] = 2
    instruction: str = REGENERATION


def may_regenerate(*, attempt: int, max_attempts: int, verdict: Verdict) -> bool:
    """Another attempt is worth asking for: this one (1 is the first) failed, and some are left."""
    return not verdict.passed and attempt < max_attempts


def stricter_messages(
    messages: Sequence[Message],
    *,
    answer: str,
    evidence: Sequence[Evidence],
    notes: str = "",
    instruction: str,
) -> tuple[Message, ...]:
    """The original messages with, before the line that says how to reply, what went wrong.

    That is the old answer between `<rejected_answer>` lines, each reason as `- code: detail`, the
    reviewer's notes where there are any, and the stricter instruction. The messages must be those
    of `build_messages`: the reply line is the last line of the user message, which comes last.
    """
    *earlier, user = messages
    task, _newline, reply_line = user.content.rpartition("\n")
    parts = [
        task.rstrip("\n"),
        "An earlier answer to this task was rejected:",
        block("rejected_answer", answer),
    ]
    if evidence:
        parts.append("Reasons:\n" + "\n".join(map(_reason_line, evidence)))
    if notes.strip():
        parts.append(f"A reviewer's notes:\n{neutralise(notes.strip())}")
    parts += [instruction.strip(), reply_line]
    return (*earlier, replace(user, content="\n\n".join(parts)))


def _reason_line(finding: Evidence) -> str:
    # A detail may quote the answer: on one line, it cannot pretend to be another reason.
    detail = " ".join((finding.detail or finding.reason.label).split())
    return f"- {finding.reason}: {neutralise(detail)}"
