"""Reads of the pages on runs: the list, and what the start page shows before anything is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Count, QuerySet

from distill.logic.plans import PLANS, Plan
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe
from distill.logic.regeneration import gather_objections
from distill.models import CompletionState, Dataset, Run, Sample, SampleDraw
from distill.models import Recipe as RecipeRow
from distill.queries.estimate import Asked, Estimate, count_known, estimate_calls, total_nano
from distill.queries.prices import current_table, prices_by_name, prices_of, unpriced
from distill.queries.rejected import rejected_states, rejections_of
from distill.queries.sent_messages import first_messages, next_messages, read_evidence
from distill.teachers.registry import PROVIDERS, is_offline

NUM_SHOWN = 3
NUM_MEASURED = 200

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
class Preview:
    """What a run would do: the first messages, how many calls, and what they may cost.

    A run starts `from` samples, from the rejected completions that it regenerates, or from the
    completions that are there.

    `at_most_nano` is the upper bound that a budget would reserve for first attempts; both amounts
    are averages over the first samples, and None where a price is unknown. Of the `num_measured`
    first requests to the teacher the ledger answers `num_known` at no cost.
    """

    shown: tuple[Asked, ...]
    starts_from: Literal["samples", "rejected", "completions"]
    num_samples: int
    """Samples, or completions where the run starts from these."""
    num_calls: int
    unpriced: tuple[str, ...]
    at_most_nano: int | None
    likely_nano: int | None
    estimates: tuple[Estimate, ...]
    num_measured: int
    num_known: int


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
    return bool(unpriced(prices_of(run), models_of(run.recipe.document, run.kind)))


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
    estimates = tuple(
        estimate_calls(
            dataset=dataset,
            recipe=recipe,
            plan=plan,
            asked=asked,
            num_samples=num_samples,
            prices=prices_by_name(recipe, current_table()),
        )
    )
    without_price = {item.teacher for item in estimates if item.at_most_nano is None}
    asks_teacher = plan.asks or plan.regenerates
    draws = recipe.teacher.draws if plan.asks else 1
    return Preview(
        shown=tuple(asked[:NUM_SHOWN]) if asks_teacher else (),
        starts_from="samples" if plan.asks else "rejected" if plan.regenerates else "completions",
        num_samples=num_samples,
        num_calls=sum(item.count for item in estimates),
        unpriced=tuple(sorted(without_price)),
        at_most_nano=total_nano(item.at_most_nano for item in estimates),
        likely_nano=total_nano(item.likely_nano for item in estimates),
        estimates=estimates,
        num_measured=len(asked) * draws if plan.asks else 0,
        num_known=count_known(recipe, asked, draws) if plan.asks else 0,
    )


def _count_samples(dataset: Dataset, plan: Plan) -> int:
    if plan.asks:
        return dataset.samples.count()
    return CompletionState.objects.filter(dataset=dataset, is_open=True).count()


def _messages_of(recipe: Recipe, sample: Sample) -> Asked:
    template = recipe.template_for(sample.template_name)
    return Asked(sample, template.name, first_messages(recipe, sample))


def _messages_again(recipe: Recipe, rejected: QuerySet[CompletionState]) -> list[Asked]:
    states = list(rejected.select_related("completion__sample", "verdict"))
    said = rejections_of([state.completion_id for state in states])
    found = []
    for state in states:
        completion = state.completion
        evidence = read_evidence(state.verdict) if state.verdict else ()
        objections = gather_objections(evidence, said.get(completion.pk, ()))
        messages = next_messages(recipe, completion.sample, completion, objections)
        found.append(Asked(completion.sample, completion.template_name, messages))
    return found
