"""Reads of the pages on runs: the list, and what the start page shows before anything is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Count, QuerySet

from distill.logic.plans import PLANS, Plan
from distill.logic.prices import TokenPrice, actual_nano, upper_bound_nano
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.regeneration import gather_objections
from distill.logic.rubric import build_judge_messages
from distill.logic.types import Message, Usage
from distill.models import CompletionState, Dataset, Run, Sample, SampleDraw
from distill.models import Recipe as RecipeRow
from distill.queries.rejected import rejected_states, rejections_of
from distill.queries.sent_messages import first_messages, next_messages, read_evidence
from distill.teachers.registry import PROVIDERS, is_offline

NUM_SHOWN = 3
NUM_MEASURED = 200
_BYTES_PER_TOKEN = 4
"""Of English text; upper bounds reckon with one."""

_State = SampleDraw.State


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run of a list, and how far it is."""

    run: Run
    teacher: str
    """Who answers, or whose answers it scores."""
    done: int
    total: int
    passed: int

    @property
    def is_standin(self) -> bool:
        return uses_standin(self.run.recipe.document, self.run.kind)

    @property
    def is_counting(self) -> bool:
        return self.run.is_active and not self.run.is_populated


@dataclass(frozen=True, slots=True)
class SampleMessages:
    """Exactly what the teacher would be asked about one sample."""

    sample: Sample
    template_name: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do: the first messages, how many calls, and what they may cost.

    A run starts `from` samples, from the rejected completions that it regenerates, or from the
    completions that are there.

    `at_most_nano` is the upper bound that a budget would reserve for first attempts;
    `likely_nano` reckons with four bytes a token and replies half as long as allowed. Both are
    averages over the first samples, and None where a price is unknown.
    """

    shown: tuple[SampleMessages, ...]
    starts_from: Literal["samples", "rejected", "completions"]
    num_samples: int
    """Samples, or completions where the run starts from these."""
    num_calls: int
    unpriced: tuple[str, ...]
    at_most_nano: int | None
    likely_nano: int | None


@dataclass(frozen=True, slots=True)
class _Estimate:
    """One kind of call: how many of them, and the average cost of one."""

    teacher: str
    count: int
    at_most_nano: float | None
    likely_nano: float | None


def all_runs() -> QuerySet[Run]:
    """Every run with what a list shows of it."""
    return Run.objects.select_related("dataset", "recipe", "created_by")


def summarise_runs(runs: Sequence[Run]) -> list[RunSummary]:
    """Add how far each run is, in one index-only query for all of them; one more may tell whose
    answers are scored.
    """
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    draws = SampleDraw.objects.filter(run__in=[run.pk for run in runs]).order_by()
    for run_id, state, count in draws.values_list("run", "state").annotate(count=Count("pk")):
        counts[run_id][state] = count
    scored = scored_models(runs)
    return [_summary(run, counts[run.pk], scored.get(run.pk)) for run in runs]


def scored_models(runs: Sequence[Run]) -> dict[int, str]:
    """Whose answers are scored by those of the runs that score a student or base."""
    scoring = [run.pk for run in runs if run.kind == Run.Kind.EVALUATE]
    if not scoring:
        return {}
    draws = SampleDraw.objects.filter(run__in=scoring, completion__isnull=False)
    return dict(draws.order_by("run").distinct("run").values_list("run", "completion__teacher"))


def _summary(run: Run, counts: dict[str, int], scored: str | None) -> RunSummary:
    total = sum(counts.values())
    return RunSummary(
        run=run,
        teacher=scored or run.recipe.document["teacher"]["name"],
        done=total - counts.get(_State.PENDING, 0),
        total=total,
        passed=counts.get(_State.PASSED, 0),
    )


def uses_standin(document: dict[str, Any], kind: str) -> bool:
    """Whether a run of this kind asks the offline stand-in, as teacher or as judge."""
    return any(is_offline(name) for name in models_of(document, kind))


def models_of(document: dict[str, Any], kind: str) -> list[str]:
    """The models of a recipe's document that a run of this kind asks, each once."""
    plan = PLANS[kind]
    names = [document["teacher"]["name"]] if plan.asks or plan.regenerates else []
    if plan.judges:
        names += [judge["teacher"] for judge in document["judges"]]
    return list(dict.fromkeys(names))


def is_unpriced(run: Run) -> bool:
    """Whether the run asks a model whose price is not known: what it spent is not known either."""
    plan, content = PLANS[run.kind], run.recipe.content
    prices = [judge.known_price for judge in content.judges] if plan.judges else []
    if plan.asks or plan.regenerates:
        prices.append(content.teacher.known_price)
    return None in prices


def known_teachers() -> list[str]:
    """Suggestions: the stand-in, what recipes name already, and how each provider's names begin."""
    named = RecipeRow.objects.order_by().values_list("document__teacher__name", flat=True)
    starts = [f"{name}:" for name in PROVIDERS if name != "offline"]
    return list(dict.fromkeys(["offline:extractive", *sorted(set(named)), *starts]))


def preview_run(
    *,
    dataset: Dataset,
    recipe: Recipe,
    kind: str,
    sample_limit: int | None,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
) -> Preview:
    """What a run would ask and cost. InputError where a sample names an unknown template."""
    plan = PLANS[kind]
    most = min(NUM_MEASURED, sample_limit or NUM_MEASURED)
    if kind == Run.Kind.REGENERATE:
        rejected = rejected_states(
            dataset_id=dataset.pk,
            config=recipe.regeneration,
            rejected_by=rejected_by,
            reasons=reasons,
        )
        num_samples = rejected.count()
        asked = _messages_again(recipe, rejected.order_by("completion")[:most])
    else:
        num_samples = _count_samples(dataset, plan)
        asked = [_messages_of(recipe, sample) for sample in dataset.samples.order_by("pk")[:most]]
    if sample_limit is not None:
        num_samples = min(num_samples, sample_limit)
    estimates = list(_estimates(recipe, plan, asked, num_samples))
    unpriced = {item.teacher for item in estimates if item.at_most_nano is None}
    asks_teacher = plan.asks or plan.regenerates
    return Preview(
        shown=tuple(asked[:NUM_SHOWN]) if asks_teacher else (),
        starts_from="samples" if plan.asks else "rejected" if plan.regenerates else "completions",
        num_samples=num_samples,
        num_calls=sum(item.count for item in estimates),
        unpriced=tuple(sorted(unpriced)),
        at_most_nano=_total((item.count, item.at_most_nano) for item in estimates),
        likely_nano=_total((item.count, item.likely_nano) for item in estimates),
    )


def _count_samples(dataset: Dataset, plan: Plan) -> int:
    if plan.asks:
        return dataset.samples.count()
    return CompletionState.objects.filter(dataset=dataset, is_open=True).count()


def _messages_of(recipe: Recipe, sample: Sample) -> SampleMessages:
    template = recipe.template_for(sample.template_name)
    return SampleMessages(sample, template.name, first_messages(recipe, sample))


def _messages_again(recipe: Recipe, rejected: QuerySet[CompletionState]) -> list[SampleMessages]:
    states = list(rejected.select_related("completion__sample", "verdict"))
    said = rejections_of([state.completion_id for state in states])
    found = []
    for state in states:
        completion = state.completion
        evidence = read_evidence(state.verdict) if state.verdict else ()
        objections = gather_objections(evidence, said.get(completion.pk, ()))
        messages = next_messages(recipe, completion.sample, completion, objections)
        found.append(SampleMessages(completion.sample, completion.template_name, messages))
    return found


def _estimates(
    recipe: Recipe, plan: Plan, asked: Sequence[SampleMessages], num_samples: int
) -> Iterable[_Estimate]:
    teacher = recipe.teacher
    count = num_samples * (teacher.draws if plan.asks else 1)
    if plan.asks or plan.regenerates:
        sent = [item.messages for item in asked]
        yield _estimate(teacher.name, count, teacher.known_price, sent, teacher.max_tokens)
    if not plan.judges:
        return
    answer = "x" * (teacher.max_tokens * _BYTES_PER_TOKEN)
    for judge in recipe.judges:
        sent = [
            build_judge_messages(recipe.rubric, passage=item.sample.text, answer=answer)
            for item in asked
        ]
        yield _estimate(judge.teacher, count, judge.known_price, sent, judge.max_tokens)


def _estimate(
    teacher: str,
    count: int,
    price: TokenPrice | None,
    sent: Sequence[tuple[Message, ...]],
    max_tokens: int,
) -> _Estimate:
    if price is None or not sent:
        return _Estimate(teacher, count, None if price is None else 0, None if price is None else 0)
    most = sum(upper_bound_nano(price, messages, max_tokens) or 0 for messages in sent)
    size = sum(len(part.content.encode()) for messages in sent for part in messages)
    usage = Usage(round(size / len(sent) / _BYTES_PER_TOKEN), max_tokens // 2)
    return _Estimate(teacher, count, most / len(sent), actual_nano(price, usage))


def _total(parts: Iterable[tuple[int, float | None]]) -> int | None:
    total = 0.0
    for count, each in parts:
        if each is None:
            return None
        total += count * each
    return round(total)
