"""Keep what a student, or its base, answered: completions like a teacher's, but no candidates.

They belong to no dataset's candidates (`CompletionState.dataset` is empty), so no queue, export or
waterfall takes them; judges and gate score them as they score any other completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from distill.logic.completion_key import completion_key
from distill.logic.storable import storable
from distill.logic.templates import parse_reply
from distill.models import Completion, CompletionState, Recipe, Sample


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One answer to the question of a sample's first attempt, as the model wrote it."""

    sample: Sample
    text: str
    finish_reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: int | None = None


def store_answers(
    *, recipe: Recipe, teacher: str, model: str, answers: Sequence[ModelAnswer]
) -> list[Completion]:
    """Store each answer once, with its fields as the recipe's template parses them.

    `teacher` names who answered (`student:12`), `model` its weights. Returns the completions in the
    order of the answers, each with its sample; the same answers again give the same completions.
    """
    drafts = [_draft(recipe, teacher, model, answer) for answer in answers]
    with transaction.atomic():
        Completion.objects.bulk_create(drafts, ignore_conflicts=True)
        stored = {
            completion.sample_id: completion
            for completion in Completion.objects.filter(
                sample__in=[answer.sample for answer in answers],
                key__in=[draft.key for draft in drafts],
            ).select_related("sample")
        }
        CompletionState.objects.bulk_create(
            [CompletionState(completion=completion) for completion in stored.values()],
            ignore_conflicts=True,
        )
    return [stored[answer.sample.pk] for answer in answers]


def _draft(recipe: Recipe, teacher: str, model: str, answer: ModelAnswer) -> Completion:
    sample, text = answer.sample, storable(answer.text)
    content = recipe.content
    name = sample.template_name or content.default_template
    template = content.templates.get(name)
    reply = template and parse_reply(template, text, finish_reason=answer.finish_reason)
    return Completion(
        sample=sample,
        recipe=recipe,
        key=completion_key(sample_key=sample.key, draw=0, attempt=1, teacher=teacher, text=text),
        origin=Completion.Origin.EVALUATED,
        teacher=teacher,
        model=storable(model, limit=200),
        template_name=name,
        text=text,
        fields=reply.fields if reply else {},
        finish_reason=storable(answer.finish_reason, limit=40),
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        latency_ms=answer.latency_ms,
    )
