"""What a run asks for: the requests of its sample × draws, and what waits for their replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from distill.logic.errors import FailureKind
from distill.logic.plans import PLANS, Plan
from distill.logic.prices import TokenPrice, upper_bound_nano
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.regeneration import Objections
from distill.logic.request_key import request_key
from distill.logic.retry import BROKEN
from distill.logic.rubric import build_judge_messages
from distill.logic.sft import gate_version
from distill.logic.templates import Template, plain_text
from distill.logic.types import (
    CompletionText,
    Evidence,
    Message,
    Reply,
    Request,
    RuleText,
    SampleText,
    Scores,
)
from distill.models import Purchase, Run
from distill.queries.prices import prices_of
from distill.queries.sent_messages import (
    first_messages,
    judge_parameters,
    next_messages,
    reply_limit,
    teacher_parameters,
)
from distill.services.ledger import Wish


@dataclass(frozen=True, slots=True)
class Terms:
    """What goes with the messages of every request of one sort, and what it adds to their cost."""

    teacher: str
    parameters: Mapping[str, object]
    max_tokens: int
    extra_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is about; the same for all its sample × draws.

    `prices`: of each model that its recipe names; None: unpriced. `terms`: those of the teacher by
    template, of judges by name, each for a first request and for one that asks for a longer reply.
    """

    run_id: int
    dataset_id: int
    recipe_id: int
    recipe: Recipe
    gate_version: str
    plan: Plan
    prices: Mapping[str, TokenPrice | None]
    teacher_terms: Mapping[tuple[str, bool], Terms]
    judge_terms: Mapping[tuple[str, bool], Terms]


def make_job(run: Run) -> Job:
    """Read once what all requests of a run share; have its recipe and price list joined."""
    recipe = run.recipe.content
    return Job(
        run_id=run.id,
        dataset_id=run.dataset_id,
        recipe_id=run.recipe_id,
        recipe=recipe,
        gate_version=gate_version(recipe),
        plan=PLANS[run.kind],
        prices=prices_of(run),
        teacher_terms={
            (name, is_longer): _teacher_terms(recipe, template, is_longer=is_longer)
            for name, template in recipe.templates.items()
            for is_longer in (False, True)
        },
        judge_terms={
            (judge.name, is_longer): _judge_terms(recipe, judge, is_longer=is_longer)
            for judge in recipe.judges
            for is_longer in (False, True)
        },
    )


def _teacher_terms(recipe: Recipe, template: Template, *, is_longer: bool) -> Terms:
    parameters = teacher_parameters(recipe, template, is_longer=is_longer)
    max_tokens = reply_limit(recipe, recipe.teacher.max_tokens, is_longer=is_longer)
    return Terms(recipe.teacher.name, parameters, max_tokens, _size_of_form(parameters))


def _judge_terms(recipe: Recipe, judge: JudgeConfig, *, is_longer: bool) -> Terms:
    parameters = judge_parameters(recipe, judge, is_longer=is_longer)
    max_tokens = reply_limit(recipe, judge.max_tokens, is_longer=is_longer)
    return Terms(judge.teacher, parameters, max_tokens, _size_of_form(parameters))


def _size_of_form(parameters: Mapping[str, object]) -> int:
    """The bytes of a JSON schema, which the model reads beside the messages."""
    form = parameters.get("response_format")
    return len(orjson.dumps(form)) if form else 0


@dataclass(slots=True)
class Work:
    """One sample × draw in hand; `row_id` is its SampleDraw.

    `completion` is the latest attempt, `began_with` the one that the row held when it was taken up.
    `asked` names the judges that it was shown to; `opinions`, by judge, fills up while they answer. `verdict_id`: what decided the latest attempt.
    """

    row_id: int
    draw: int
    sample: SampleText
    completion: CompletionText | None = None
    verdict_id: int | None = None
    found: tuple[Evidence, ...] = ()
    opinions: dict[str, Scores | Evidence] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @property
    def answer(self) -> CompletionText:
        """The completion in hand; work that has none yet must not be asked for it."""
        if self.completion is None:
            raise LookupError(f"{self} has no completion yet")
        return self.completion

    def __str__(self) -> str:
        return f"sample {self.sample.id}, draw {self.draw}"


@dataclass(frozen=True, slots=True)
class Order:
    """A request that some work waits for: the teacher's next attempt, or one judge's opinion.

    `failures` and `broken` count its sendings that failed, and those whose reply was of no use;
    `rate_limits` those that a limit refused, for which it has waited so many seconds. `is_longer`:
    the first reply reached `max_tokens`, and this asks once more with a larger limit.
    """

    wish: Wish
    work: Work
    judge: JudgeConfig | None = None
    is_longer: bool = False
    failures: int = 0
    broken: int = 0
    rate_limits: int = 0
    waited_seconds: float = 0.0

    @property
    def attempts(self) -> int:
        """How often it was sent, until now in vain."""
        return self.failures + self.broken + self.rate_limits

    def after(self, kind: FailureKind) -> tuple[Order, int]:
        """The order with one more failure counted, and how many of this sort it has now."""
        if kind is FailureKind.RATE_LIMITED:
            return replace(self, rate_limits=self.rate_limits + 1), self.rate_limits + 1
        if kind in BROKEN:
            return replace(self, broken=self.broken + 1), self.broken + 1
        return replace(self, failures=self.failures + 1), self.failures + 1


@dataclass(frozen=True, slots=True)
class Answered:
    order: Order
    call_id: int
    reply: Reply


def template_of(job: Job, sample: SampleText) -> Template:
    return job.recipe.template_for(sample.template_name)


def teacher_order(job: Job, work: Work, messages: tuple[Message, ...] | None = None) -> Order:
    """Ask for the next attempt of a work: for its first one where no `messages` are given."""
    messages = messages or first_messages(job.recipe, work.sample)
    return Order(_teacher_wish(job, work, messages, is_longer=False), work)


def next_attempt(job: Job, work: Work, objections: Objections) -> Order:
    """Order another attempt, told what stands against the last; `work` starts afresh."""
    messages = next_messages(job.recipe, work.sample, work.answer, objections)
    fresh = Work(work.row_id, work.draw, work.sample, completion=work.answer)
    return teacher_order(job, fresh, messages)


def judge_order(job: Job, work: Work, judge: JudgeConfig) -> Order:
    """Ask a judge about the completion in hand."""
    messages = build_judge_messages(
        job.recipe.rubric_of(judge),
        passage=work.sample.text,
        answer=text_of(job, work),
        role=judge.role,
    )
    work.asked.add(judge.name)
    return Order(_judge_wish(job, work, judge, messages, is_longer=False), work, judge)


def longer_order(job: Job, order: Order) -> Order | None:
    """Ask once more what was cut off, with a larger limit; None where that was done, or is not wanted.

    It is another call: the recipe's `retry.longer` times as many tokens are allowed.
    """
    request, work, judge = order.wish.request, order.work, order.judge
    if order.is_longer:
        return None
    if judge is None:
        wish = _teacher_wish(job, work, request.messages, is_longer=True)
    else:
        wish = _judge_wish(job, work, judge, request.messages, is_longer=True)
    if wish.key == order.wish.key:
        return None
    return Order(wish, work, judge, is_longer=True)


def _teacher_wish(job: Job, work: Work, messages: tuple[Message, ...], *, is_longer: bool) -> Wish:
    template = template_of(job, work.sample)
    stage = Purchase.Stage.REGENERATE if work.completion else Purchase.Stage.GENERATE
    terms = job.teacher_terms[template.name, is_longer]
    return _wish(job, terms, messages, stage=stage, template=template.name, draw=work.draw)


def _judge_wish(
    job: Job, work: Work, judge: JudgeConfig, messages: tuple[Message, ...], *, is_longer: bool
) -> Wish:
    terms = job.judge_terms[judge.name, is_longer]
    template_name = work.answer.template_name
    return _wish(job, terms, messages, stage=Purchase.Stage.JUDGE, template=template_name)


def _wish(
    job: Job,
    terms: Terms,
    messages: tuple[Message, ...],
    *,
    stage: Purchase.Stage,
    template: str,
    draw: int = 0,
) -> Wish:
    request = Request(terms.teacher, messages, terms.parameters, draw)
    price = job.prices[terms.teacher]
    return Wish(
        key=request_key(request),
        request=request,
        price=price,
        bound_nano=upper_bound_nano(
            price, messages, terms.max_tokens, extra_bytes=terms.extra_bytes
        ),
        stage=stage.value,
        template_name=template,
    )


def text_of(job: Job, work: Work) -> str:
    """Return what rules, judges and people read: the fields, else the answer as it arrived."""
    template = job.recipe.template_for(work.answer.template_name)
    return plain_text(template, work.answer.fields) or work.answer.text


def rule_text(job: Job, work: Work) -> RuleText:
    """Return what the rules look at of the completion in hand."""
    fields = work.answer.fields
    return RuleText(text_of(job, work), work.sample.text, fields, work.answer.tokens)
