"""What was really sent for a completion: rebuilt, and proved by the call's key.

Rendered messages are not stored. Sample, recipe and, for a later attempt, what stood against the
rejected one rebuild them; the same key as the call's proves that they are the very ones.

What stood against it then may not stand now: a later run gives another verdict, a person takes a
decision back. But verdicts and decisions are only ever added, those on one completion one after the
other. So what was sent names one of its verdicts, and the rejections that stood after the first so
many of its decisions; which, the key says. No clock is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.regeneration import Objections, gather_objections, stricter_messages
from distill.logic.request_key import request_key
from distill.logic.rubric import judgement_schema
from distill.logic.templates import Template, build_messages, plain_text, reply_schema
from distill.logic.types import CompletionText, Evidence, Message, Request, SampleText
from distill.models import Completion, Decision, Sample, Verdict
from distill.queries.rejected import standing_after
from distill.teachers.structured import response_format


@dataclass(frozen=True, slots=True)
class SentMessages:
    """The chat; `is_verified` says whether the call's key proves it."""

    messages: tuple[Message, ...]
    is_verified: bool


def first_messages(recipe: Recipe, sample: Sample | SampleText) -> tuple[Message, ...]:
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


def next_messages(
    recipe: Recipe,
    sample: Sample | SampleText,
    rejected: Completion | CompletionText,
    objections: Objections,
) -> tuple[Message, ...]:
    """What another attempt is asked: the same question, the rejected answer, what stands against it.

    Raises InputError where the recipe has no template of the sample's or the answer's name.
    """
    template = recipe.template_for(rejected.template_name)
    return stricter_messages(
        first_messages(recipe, sample),
        answer=plain_text(template, rejected.fields) or rejected.text,
        objections=objections,
        instruction=recipe.regeneration.instruction,
    )


def teacher_parameters(
    recipe: Recipe, template: Template, *, is_longer: bool = False
) -> dict[str, object]:
    """What goes with the messages to the teacher: how it answers, and the form of its reply.

    `is_longer`: as it is asked once more after a reply that reached `max_tokens`.
    """
    teacher = recipe.teacher
    form = response_format(
        teacher.name, teacher.structured_output, name=template.name, schema=reply_schema(template)
    )
    max_tokens = reply_limit(recipe, teacher.max_tokens, is_longer=is_longer)
    return {**teacher.parameters, "max_tokens": max_tokens, **form}


def teacher_request(
    recipe: Recipe,
    template_name: str,
    messages: tuple[Message, ...],
    *,
    draw: int,
    is_longer: bool = False,
) -> Request:
    """The request to the recipe's teacher: its key is what the ledger knows it by.

    `template_name` is the sample's.
    """
    template = recipe.template_for(template_name)
    parameters = teacher_parameters(recipe, template, is_longer=is_longer)
    return Request(recipe.teacher.name, messages, parameters, draw)


def judge_parameters(
    recipe: Recipe, judge: JudgeConfig, *, is_longer: bool = False
) -> dict[str, object]:
    """What goes with the messages to a judge; `is_longer` as for the teacher."""
    form = response_format(
        judge.teacher,
        judge.structured_output,
        name="judgement",
        schema=judgement_schema(recipe.rubric_of(judge)),
    )
    max_tokens = reply_limit(recipe, judge.max_tokens, is_longer=is_longer)
    return {**judge.parameters, "max_tokens": max_tokens, **form}


def reply_limit(recipe: Recipe, max_tokens: int, *, is_longer: bool) -> int:
    """How many tokens a reply may have; `is_longer` as for the parameters."""
    return round(max_tokens * recipe.retry.longer) if is_longer else max_tokens


def sent_messages(
    completion: Completion,
    *,
    parent_verdicts: Sequence[Verdict] = (),
    parent_decisions: Sequence[Decision] = (),
) -> SentMessages | None:
    """Rebuild what was sent for a completion; None where nothing was sent or nobody can tell.

    `parent_verdicts` and `parent_decisions` are all those of its parent, in the order of their ids.
    Where no candidate has the call's key, the likeliest is returned. Give the completion with
    sample, recipe, call and parent joined.
    """
    if completion.recipe is None or completion.call is None:
        return None
    key = bytes(completion.call.key)
    recipe = completion.recipe.content
    objections = _all_objections(parent_verdicts, parent_decisions)
    likeliest: SentMessages | None = None
    try:
        for messages in _candidates(completion, recipe, objections):
            if key in _keys(completion, recipe, messages):
                return SentMessages(messages, is_verified=True)
            likeliest = likeliest or SentMessages(messages, is_verified=False)
    except InputError:
        return None
    return likeliest


def read_evidence(verdict: Verdict) -> tuple[Evidence, ...]:
    """A stored verdict's evidence as values again."""
    return tuple(
        Evidence(**{**finding, "reason": Reason(finding["reason"])}) for finding in verdict.evidence
    )


def _all_objections(
    verdicts: Sequence[Verdict], decisions: Sequence[Decision]
) -> tuple[Objections, ...]:
    """Whatever may have stood against a completion at some time, the newest first."""
    found = [*map(read_evidence, reversed(verdicts)), ()]
    stood = [standing_after(decisions[:end]) for end in range(len(decisions), -1, -1)]
    pairs = ((evidence, rejections) for rejections in stood for evidence in found)
    return tuple(dict.fromkeys(gather_objections(*pair) for pair in pairs))


def _candidates(
    completion: Completion, recipe: Recipe, objections: Iterable[Objections]
) -> Iterator[tuple[Message, ...]]:
    if completion.parent is None:
        yield first_messages(recipe, completion.sample)
        return
    for stood in objections:
        yield next_messages(recipe, completion.sample, completion.parent, stood)


def _keys(completion: Completion, recipe: Recipe, messages: tuple[Message, ...]) -> Iterator[bytes]:
    """Of these messages: as they are asked first, and as after a reply that was cut off."""
    name, draw = completion.sample.template_name, completion.draw
    for is_longer in (False, True):
        yield request_key(teacher_request(recipe, name, messages, draw=draw, is_longer=is_longer))
