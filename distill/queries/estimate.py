"""What a run's calls may cost, before any is made: from a pilot's usage, else from their size.

A pilot is whatever the same model was asked before for this dataset, at the same stage and with the
same templates: the mean of what it was asked and what it wrote tells more than any size does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q

from distill.logic.plans import Plan
from distill.logic.prices import TokenPrice, actual_nano, num_bytes, upper_bound_nano
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.request_key import request_key
from distill.logic.rubric import build_judge_messages
from distill.logic.types import Message, Usage
from distill.models import Dataset, Purchase, Reply, Run, Sample
from distill.queries.sent_messages import teacher_request

BYTES_PER_TOKEN = 4
"""Of English text; upper bounds reckon with one."""
_MOST_REPLIES = 500
_MOST_RUNS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample and the messages that would be sent for it."""

    sample: Sample
    template_name: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One kind of call: how many of them, what they cost in all, and how that is known.

    `at_most_nano` reserves for first sendings, `likely_nano` reckons with `num_replies` of a pilot
    or, where there are none, with four bytes a token and replies half as long as allowed. Both are
    None where the price is unknown.
    """

    label: str
    teacher: str
    count: int
    at_most_nano: int | None
    likely_nano: int | None
    num_replies: int

    @property
    def basis(self) -> str:
        """How the likely cost is known, for people."""
        if self.num_replies:
            return f"from {self.num_replies:,} repl{'y' if self.num_replies == 1 else 'ies'} of this model"
        return "estimated: bytes ÷ 4, replies half as long as allowed"


def estimate_calls(
    *,
    dataset: Dataset,
    recipe: Recipe,
    plan: Plan,
    asked: Sequence[Asked],
    num_samples: int,
    prices: dict[str, TokenPrice | None],
) -> Iterator[Estimate]:
    """What the calls of a run would cost, teacher first, then each judge; averages over `asked`."""
    teacher = recipe.teacher
    count = num_samples * (teacher.draws if plan.asks else 1)
    templates = {item.template_name for item in asked}
    if plan.asks or plan.regenerates:
        stage = Purchase.Stage.GENERATE if plan.asks else Purchase.Stage.REGENERATE
        yield _estimate(
            label="Teacher",
            teacher=teacher.name,
            count=count,
            price=prices[teacher.name],
            sent=[item.messages for item in asked],
            max_tokens=teacher.max_tokens,
            pilot=_pilot(dataset, teacher.name, stage, templates),
        )
    for judge in recipe.judges if plan.judges else ():
        yield _estimate(
            label=f"Judge {judge.name}",
            teacher=judge.teacher,
            count=count,
            price=prices[judge.teacher],
            sent=_judged(recipe, judge, asked),
            max_tokens=judge.max_tokens,
            pilot=_pilot(dataset, judge.teacher, Purchase.Stage.JUDGE, templates),
        )


def count_known(recipe: Recipe, asked: Iterable[Asked], draws: int) -> int:
    """How many of these requests to the teacher the ledger answers already, at no cost."""
    keys = {
        request_key(teacher_request(recipe, item.sample.template_name, item.messages, draw=draw))
        for item in asked
        for draw in range(draws)
    }
    replies = Reply.objects.filter(outcome=Reply.ACCEPTED, call__key__in=keys)
    return replies.count() if keys else 0


def total_nano(parts: Iterable[int | None]) -> int | None:
    """The sum of what is known; None where a part is not."""
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _judged(
    recipe: Recipe, judge: JudgeConfig, asked: Sequence[Asked]
) -> list[tuple[Message, ...]]:
    """What a judge would read of answers as long as they may be; a second one counts as if asked."""
    answer = "x" * (recipe.teacher.max_tokens * BYTES_PER_TOKEN)
    return [
        build_judge_messages(
            recipe.rubric_of(judge), passage=item.sample.text, answer=answer, role=judge.role
        )
        for item in asked
    ]


def _pilot(dataset: Dataset, teacher: str, stage: str, templates: Collection[str]) -> list[Usage]:
    """The newest usages of this model for this dataset, at this stage and with these templates."""
    named = Q(recipe__document__teacher__name=teacher) | Q(
        recipe__document__judges__contains=[{"teacher": teacher}]
    )
    runs = list(
        Run.objects.filter(named, dataset=dataset).order_by("-pk").values_list("pk", flat=True)
    )[:_MOST_RUNS]
    replies = Reply.objects.filter(
        purchase__run__in=runs,
        purchase__stage=stage,
        purchase__template_name__in=templates,
        call__teacher=teacher,
        outcome=Reply.ACCEPTED,
        prompt_tokens__isnull=False,
    )
    tokens = replies.order_by("-purchase").values_list(
        "prompt_tokens", "completion_tokens", "cached_tokens"
    )
    return [
        Usage(prompt or 0, completion or 0, cached_tokens=cached or 0)
        for prompt, completion, cached in tokens[:_MOST_REPLIES]
    ]


def _estimate(
    *,
    label: str,
    teacher: str,
    count: int,
    price: TokenPrice | None,
    sent: Sequence[tuple[Message, ...]],
    max_tokens: int,
    pilot: Sequence[Usage],
) -> Estimate:
    if price is None or not sent:
        nothing = None if price is None else 0
        return Estimate(label, teacher, count, nothing, nothing, len(pilot))
    most = sum(upper_bound_nano(price, messages, max_tokens) or 0 for messages in sent)
    likely = sum(actual_nano(price, usage) or 0 for usage in pilot or _by_size(sent, max_tokens))
    return Estimate(
        label=label,
        teacher=teacher,
        count=count,
        at_most_nano=round(count * most / len(sent)),
        likely_nano=round(count * likely / (len(pilot) or len(sent))),
        num_replies=len(pilot),
    )


def _by_size(sent: Sequence[tuple[Message, ...]], max_tokens: int) -> list[Usage]:
    sizes = [sum(num_bytes(part.content) for part in messages) for messages in sent]
    return [Usage(-(-size // BYTES_PER_TOKEN), max_tokens // 2) for size in sizes]
