"""What was really sent for a completion: rebuilt, and proved by the call's key.

Rendered messages are not stored. Sample, recipe and, for a later attempt, the rejected one's
verdict rebuild them; the same key as the call's proves that they are the very ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.regeneration import stricter_messages
from distill.logic.request_key import request_key
from distill.logic.templates import build_messages, plain_text
from distill.logic.types import Evidence, Message, Request
from distill.models import Completion, Sample, Verdict


@dataclass(frozen=True, slots=True)
class SentMessages:
    """The chat; `is_verified` says whether the call's key proves it."""

    messages: tuple[Message, ...]
    is_verified: bool


def first_messages(recipe: Recipe, sample: Sample) -> tuple[Message, ...]:
    """What a first attempt is asked: the question that a student learns to answer.

    Raises InputError where the recipe has no template of the sample's name.
    """
    return build_messages(
        recipe.template_for(sample.template_name),
        text=sample.text,
        domain=sample.domain,
        instruction=sample.instruction,
        title=sample.title,
    )


def sent_messages(
    completion: Completion, *, parent_verdicts: Sequence[Verdict] = ()
) -> SentMessages | None:
    """Rebuild what was sent for a completion; None where nothing was sent or nobody can tell.

    `parent_verdicts` are those of its parent: the reasons of one of them stand in the prompt. Give
    the completion with sample, recipe, call and parent joined.
    """
    if completion.recipe is None or completion.call is None:
        return None
    key = bytes(completion.call.key)
    last: SentMessages | None = None
    try:
        for messages in _candidates(completion, completion.recipe.content, parent_verdicts):
            request = _request(completion, completion.recipe.content, messages)
            last = SentMessages(messages, is_verified=request_key(request) == key)
            if last.is_verified:
                return last
    except InputError:
        return None
    return last


def read_evidence(verdict: Verdict) -> tuple[Evidence, ...]:
    """A stored verdict's evidence as values again."""
    return tuple(
        Evidence(**{**finding, "reason": Reason(finding["reason"])}) for finding in verdict.evidence
    )


def _candidates(
    completion: Completion, recipe: Recipe, verdicts: Sequence[Verdict]
) -> Iterator[tuple[Message, ...]]:
    first = first_messages(recipe, completion.sample)
    parent = completion.parent
    if parent is None:
        yield first
        return
    template = recipe.template_for(parent.template_name)
    answer = plain_text(template, parent.fields) or parent.text
    for verdict in reversed(verdicts):
        yield stricter_messages(
            first,
            answer=answer,
            evidence=read_evidence(verdict),
            instruction=recipe.regeneration.instruction,
        )


def _request(completion: Completion, recipe: Recipe, messages: tuple[Message, ...]) -> Request:
    return Request(
        teacher=recipe.teacher.name,
        messages=messages,
        parameters=recipe.teacher.parameters,
        draw=completion.draw,
    )
