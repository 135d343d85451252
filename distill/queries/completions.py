"""Looking for completions: what may be asked for, and a page of what was found.

What it costs. Dataset, run, state, label and reason are found by an index, however many
completions there are. Domain, template, teacher, attempt, stage and text are looked at one
completion after the other, newest first, so a rare value would cost as much as there are
completions: a page looks at `WINDOW` of them at most, and says where the next page goes on. A text
is compared without regard to case, and only within one dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Left

from distill.logic.reasons import Reason, Stage
from distill.models import Completion, CompletionState, Dataset, Label, SampleDraw
from distill.queries.draws import last_draw

PAGE_SIZE = 50
WINDOW = 10_000
MAX_COUNTED = 1_000
_EXCERPT_LENGTH = 400
_BATCH = 500


@dataclass(frozen=True, slots=True)
class CompletionFilter:
    """What is asked for; everything left empty matches. A text needs a dataset."""

    dataset: Dataset | None = None
    run_id: int | None = None
    origin: str = ""
    """ "evaluated": answers of students and bases; left empty, those are shown of a run alone."""
    state: str = ""
    label: str = ""
    """ "accepted", "rejected", or "none": nobody has decided it."""
    reason: str = ""
    stage: str = ""
    domain: str = ""
    template: str = ""
    attempt: int | None = None
    teacher: str = ""
    text: str = ""

    @property
    def walks(self) -> bool:
        """Whether completions have to be looked at one after the other."""
        wanted = (self.stage, self.domain, self.template, self.attempt, self.teacher, self.text)
        return any(wanted)


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """One completion as a list shows it."""

    state: CompletionState
    excerpt: str

    @property
    def completion(self) -> Completion:
        return self.state.completion

    @property
    def label(self) -> Label | None:
        return getattr(self.completion, "label", None)


@dataclass(frozen=True, slots=True)
class CompletionPage:
    """Found completions, newest first; `is_cut` says that `WINDOW` of them were looked at."""

    rows: list[CompletionRow]
    next: int | None
    is_first: bool
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class UnansweredPage:
    """Sample draws of a run that have no completion, oldest first."""

    rows: Sequence[SampleDraw] = ()
    next: int | None = None
    is_first: bool = True

    @property
    def has_draws(self) -> bool:
        """Whether one of the samples has several draws; `last_draw` is annotated."""
        return any(getattr(row, "last_draw", 0) for row in self.rows)


def find_completions(wanted: CompletionFilter, *, after: int | None = None) -> CompletionPage:
    """A page of completions, newest first, in three queries at most."""
    found, floor = _window(wanted, after)
    shown = (
        CompletionState.objects.select_related("completion__sample__dataset", "completion__label")
        .annotate(
            beginning=Left("completion__text", Value(_EXCERPT_LENGTH)),
            sample_beginning=Left("completion__sample__text", Value(_EXCERPT_LENGTH)),
            last_draw=last_draw("completion__sample"),
        )
        .defer("completion__text", "completion__sample__text", "completion__sample__metadata")
    )
    states = _load(shown, _newest(found, PAGE_SIZE + 1))
    has_more = len(states) > PAGE_SIZE
    rows = [_row(state) for state in states[:PAGE_SIZE]]
    is_cut = not has_more and floor is not None
    return CompletionPage(
        rows=rows,
        next=states[PAGE_SIZE - 1].pk if has_more else floor + 1 if floor is not None else None,
        is_first=after is None,
        is_cut=is_cut,
    )


def count_completions(wanted: CompletionFilter) -> int | None:
    """How many there are, `MAX_COUNTED + 1` standing for more; None where counting would walk."""
    if wanted.walks:
        return None
    return _indexed(wanted).order_by()[: MAX_COUNTED + 1].count()


def each_completion(wanted: CompletionFilter) -> Iterator[CompletionState]:
    """Every completion that matches, newest first, in batches and flat memory."""
    whole = CompletionState.objects.select_related(
        "completion__sample__dataset", "completion__label__decision", "completion__parent"
    )
    after: int | None = None
    while True:
        found, floor = _window(wanted, after)
        ids = _newest(found, _BATCH)
        yield from _load(whole, ids)
        if len(ids) == _BATCH:
            after = ids[-1]
        elif floor is not None:
            after = floor + 1
        else:
            return


def find_unanswered(*, run_id: int, state: str, after: int | None = None) -> UnansweredPage:
    """A run's sample draws in a state that has no completion: pending or failed."""
    found = SampleDraw.objects.filter(run=run_id, state=state, pk__gt=after or 0)
    shown = (
        found.select_related("sample")
        .annotate(
            sample_beginning=Left("sample__text", Value(_EXCERPT_LENGTH)),
            last_draw=last_draw("sample"),
        )
        .defer("sample__text", "sample__metadata")
    )
    rows = list(shown.order_by("pk")[: PAGE_SIZE + 1])
    has_more = len(rows) > PAGE_SIZE
    return UnansweredPage(
        rows=rows[:PAGE_SIZE],
        next=rows[PAGE_SIZE - 1].pk if has_more else None,
        is_first=after is None,
    )


def _newest(found: QuerySet[CompletionState], count: int) -> list[int]:
    return list(found.order_by("-pk").values_list("pk", flat=True)[:count])


def _load(states: QuerySet[CompletionState], ids: Collection[int]) -> list[CompletionState]:
    """These, newest first. By their ids: PostgreSQL carries a bound of ids into no joined table,
    and would read all newer completions for a page far down.
    """
    return list(states.filter(pk__in=ids).order_by("-pk"))


def _window(
    wanted: CompletionFilter, after: int | None
) -> tuple[QuerySet[CompletionState], int | None]:
    """What may stand on the page, and the first completion that was not looked at any more."""
    base = _indexed(wanted)
    if after is not None:
        base = base.filter(pk__lt=after)
    if not wanted.walks:
        return base, None
    beyond = base.order_by("-pk").values_list("pk", flat=True)[WINDOW : WINDOW + 1]
    floor = next(iter(beyond), None)
    if floor is not None:
        base = base.filter(pk__gt=floor)
    walked = _walked(base, wanted)
    if wanted.text:
        # Bounds of their own: those of the states would not keep the planner from reading them all.
        texts = Completion.objects.filter(pk__gt=floor or 0, text__icontains=wanted.text)
        texts = texts if after is None else texts.filter(pk__lt=after)
        walked = walked.filter(pk__in=texts.values("pk"))
    return walked, floor


def _indexed(wanted: CompletionFilter) -> QuerySet[CompletionState]:
    states = _of_origin(wanted)
    if wanted.run_id is not None:
        draws = SampleDraw.objects.filter(run=wanted.run_id, completion__isnull=False)
        states = states.filter(pk__in=draws.values("completion"))
    if wanted.state:
        states = states.filter(state=wanted.state)
    if wanted.label == "none":
        states = states.filter(~Exists(Label.objects.filter(completion=OuterRef("pk"))))
    elif wanted.label:
        states = states.filter(completion__label__outcome=wanted.label)
    return _with_reason(states, wanted.reason) if wanted.reason else states


def _of_origin(wanted: CompletionFilter) -> QuerySet[CompletionState]:
    """Those of the dataset, or of all; answers of students and bases only where they are meant."""
    states = CompletionState.objects.all()
    if wanted.origin == Completion.Origin.EVALUATED:
        states = states.filter(dataset=None)
    elif wanted.run_id is None:
        is_candidate = {"dataset__isnull": False}
        return states.filter(**{"dataset": wanted.dataset} if wanted.dataset else is_candidate)
    if wanted.dataset is not None:
        states = states.filter(completion__sample__dataset=wanted.dataset)
    return states


def _with_reason(states: QuerySet[CompletionState], reason: str) -> QuerySet[CompletionState]:
    """A machine's reasons and flags stand in the state, a person's reasons in the label's decision."""
    if Reason(reason).is_flag:
        # The first condition is that of the index: few completions carry a flag.
        return states.filter(~Q(flags=[]), flags__contains=[reason])
    if Reason(reason).stage == Stage.REVIEW:
        return states.filter(completion__label__decision__reasons__contains=[reason])
    return states.filter(reasons__contains=[reason])


def _walked(
    states: QuerySet[CompletionState], wanted: CompletionFilter
) -> QuerySet[CompletionState]:
    """What no index finds, but for the text."""
    if wanted.stage == Stage.REVIEW:
        states = states.filter(completion__label__outcome=Label.Outcome.REJECTED)
    elif wanted.stage:
        states = states.filter(verdict__stage=wanted.stage)
    exact: Mapping[str, object] = {
        "completion__sample__domain__iexact": wanted.domain,
        "completion__template_name": wanted.template,
        "completion__teacher": wanted.teacher,
        "completion__attempt": wanted.attempt,
    }
    return states.filter(**{name: value for name, value in exact.items() if value})


def _row(state: CompletionState) -> CompletionRow:
    fields = state.completion.fields
    text = fields.get("hypothesis") or next(iter(fields.values()), "")
    # `beginning` is annotated by find_completions.
    text = text or getattr(state, "beginning", "")
    return CompletionRow(state=state, excerpt=" ".join(str(text)[:_EXCERPT_LENGTH].split()))
