"""What a run asks for: the requests of its sample × draws, and what waits for their replies."""

from __future__ import annotations

from dataclasses import dataclass, field

from distill.logic.plans import Plan
from distill.logic.prices import TokenPrice, upper_bound_nano
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.regeneration import Objections
from distill.logic.request_key import request_key
from distill.logic.rubric import build_judge_messages
from distill.logic.templates import Template, plain_text
from distill.logic.types import Evidence, Message, Reply, Request, Scores
from distill.models import Completion, Sample, SampleDraw
from distill.queries.sent_messages import first_messages, next_messages
from distill.services.ledger import Wish


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is about; the same for all its sample × draws."""

    run_id: int
    dataset_id: int
    recipe_id: int
    recipe: Recipe
    plan: Plan


@dataclass(slots=True)
class Work:
    """One sample × draw in hand. `opinions`, by judge, fills up while they answer."""

    row: SampleDraw
    sample: Sample
    completion: Completion | None = None
    found: tuple[Evidence, ...] = ()
    opinions: dict[str, Scores | Evidence] = field(default_factory=dict)

    @property
    def answer(self) -> Completion:
        """The completion in hand; work that has none yet must not be asked for it."""
        if self.completion is None:
            raise LookupError(f"{self.row} has no completion yet")
        return self.completion


@dataclass(frozen=True, slots=True)
class Order:
    """A request that some work waits for: the teacher's next attempt, or one judge's opinion."""

    wish: Wish
    work: Work
    judge: JudgeConfig | None = None
    failures: int = 0
    rate_limits: int = 0
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    order: Order
    call_id: int
    reply: Reply


def template_of(job: Job, sample: Sample) -> Template:
    return job.recipe.template_for(sample.template_name)


def teacher_order(job: Job, work: Work, messages: tuple[Message, ...] | None = None) -> Order:
    teacher = job.recipe.teacher
    request = Request(
        teacher=teacher.name,
        messages=messages or first_messages(job.recipe, work.sample),
        parameters=teacher.parameters,
        draw=work.row.draw,
    )
    return Order(wish=_wish(request, teacher.known_price, teacher.max_tokens), work=work)


def next_attempt(job: Job, work: Work, objections: Objections) -> Order:
    """Order another attempt, told what stands against the last; `work` starts afresh."""
    messages = next_messages(job.recipe, work.sample, work.answer, objections)
    fresh = Work(row=work.row, sample=work.sample, completion=work.answer)
    return teacher_order(job, fresh, messages)


def judge_order(job: Job, work: Work, judge: JudgeConfig) -> Order:
    messages = build_judge_messages(
        job.recipe.rubric, passage=work.sample.text, answer=text_of(job, work)
    )
    request = Request(teacher=judge.teacher, messages=messages, parameters=judge.parameters)
    return Order(wish=_wish(request, judge.known_price, judge.max_tokens), work=work, judge=judge)


def _wish(request: Request, price: TokenPrice | None, max_tokens: int) -> Wish:
    return Wish(
        key=request_key(request),
        request=request,
        price=price,
        bound_nano=upper_bound_nano(price, request.messages, max_tokens),
    )


def text_of(job: Job, work: Work) -> str:
    """Return what rules, judges and people read: the fields, else the answer as it arrived."""
    template = job.recipe.template_for(work.answer.template_name)
    return plain_text(template, work.answer.fields) or work.answer.text
