"""What the commands of the pipeline's stages share: their arguments, and working a run off.

Each stage takes a dataset by name (`--dataset`), or a file in the form of the guide (`--src`): then
the file is imported into a dataset named by its hash, so that a second call continues the first.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from distill.logic.errors import DistillError, InputError
from distill.logic.panel import warnings
from distill.logic.plans import PLANS
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.recipe import default_recipe, load_recipe
from distill.management.columns import say_skipped
from distill.management.help import HelpFormatter
from distill.management.paths import shown
from distill.management.progress import progress
from distill.management.run_details import run_details
from distill.models import Dataset, Recipe, Run, SampleDraw, SourceFile
from distill.queries.cells import count_reasons
from distill.queries.progress import count_states, live_progress
from distill.services.ingest import dataset_for_file, fill_source_file, open_source_file
from distill.services.recipes import save_recipe
from distill.services.runs import continue_run, request_stop
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from distill.teachers.offline.misbehave import parse_faults
from distill.teachers.registry import canonical_name, is_offline, resolve

NANO = 1_000_000_000
FOLLOW_SECONDS = 1.0
_MOVING = ("state", "is_populated", "started_at", "budget_nano", "spent_nano", "reserved_nano")


class StageCommand(BaseCommand):
    """A command whose expected errors are one clear line, never a traceback."""

    requires_migrations_checks = True

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DistillError as error:
            raise CommandError(str(error)) from error

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=HelpFormatter, **kwargs)


def add_source(parser: CommandParser, *, default: Path) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--dataset", metavar="NAME", help="work on this dataset")
    source.add_argument(
        "--src", type=Path, metavar="FILE", help=f"work on this file (default: {shown(default)})"
    )
    parser.set_defaults(default_src=default)


def add_recipe(parser: CommandParser) -> None:
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="a recipe's name (its newest version), NAME@VERSION, or a YAML file; "
        "default: the built-in recipe",
    )


def add_limits(parser: CommandParser) -> None:
    parser.add_argument(
        "--max-samples", type=int, metavar="N", help="ask for at most N samples (default: all)"
    )
    parser.add_argument(
        "--budget", type=float, metavar="USD", help="never spend more than this; needs known prices"
    )


def add_misbehaviour(parser: CommandParser) -> None:
    parser.add_argument(
        "--misbehave",
        default="none",
        metavar="FAULTS",
        help="faults of an offline teacher started for this command: moderate, or "
        "rate_limited=0.05,truncated=0.02,… (see offline_teacher --help)",
    )


def in_words(counts: dict[str, int]) -> str:
    """Counts as a person reads them: "12 passed, 3 rejected"."""
    return ", ".join(f"{count:,} {state}" for state, count in counts.items()) or "nothing to do"


def say_reasons(run: Run, say: Callable[[str], object]) -> None:
    """Say how often each reason stood against a sample × draw of the run."""
    decided = SampleDraw.objects.filter(run=run, verdict__passed=False)
    for reason, count in count_reasons(decided):
        say(f"  {count:>8,}  {reason.label}")


def find_dataset(options: dict[str, Any], say: Callable[[str], object]) -> Dataset:
    """Return the dataset that the command is about; a file is imported first."""
    if options["dataset"]:
        dataset = Dataset.objects.filter(name=options["dataset"]).first()
        if dataset is None:
            known = ", ".join(Dataset.objects.values_list("name", flat=True)[:10])
            raise InputError(f"There is no dataset {options['dataset']!r}; there are: {known}")
        return dataset
    return import_source(options["src"] or options["default_src"], say)


def import_source(path: Path, say: Callable[[str], object]) -> Dataset:
    """Import a file into the dataset named by its hash; what is there already stays as it is."""
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    dataset = dataset_for_file(path)
    file = open_source_file(dataset=dataset, path=path, name=path.name)
    if file.state == SourceFile.State.DONE:
        say(f"{path.name} was imported before, into {dataset}; it is not read again.")
        return dataset
    say_skipped(path, say)
    with progress(None, f"Reading {path.name}") as bar:
        fill_source_file(
            source_file=file,
            path=path,
            on_progress=lambda file: bar.update(
                file.rows_read, kept=file.rows_kept, refused=file.rows_refused
            ),
        )
    return dataset


def find_recipe(options: dict[str, Any], say: Callable[[str], object]) -> Recipe:
    """Return the recipe that the command is about, changed by --teacher and --draws if given.

    What speaks against its judges is said.
    """
    content = _named_recipe(options["recipe"])
    changes: dict[str, object] = {}
    if options.get("teacher"):
        canonical = canonical_name(options["teacher"])
        if canonical.note:
            say(canonical.note)
        changes["name"] = canonical.name
        if canonical.name != content.teacher.name:
            changes["price"] = None
        if not options.get("background"):
            # A key that is missing here leaves no new version of the recipe behind.
            resolve(canonical.name)
    if options.get("draws"):
        changes["draws"] = options["draws"]
    if changes:
        teacher = content.teacher.model_copy(update=changes)
        content = RecipeContent.model_validate(
            content.model_copy(update={"teacher": teacher}).model_dump()
        )
    for warning in warnings(content):
        say(f"Warning: {warning}")
    return save_recipe(content=content)


def _named_recipe(name: str | None) -> RecipeContent:
    if name is None:
        return default_recipe()
    if Path(name).suffix in (".yaml", ".yml"):
        try:
            return load_recipe(Path(name).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name} cannot be read as a recipe: {error}") from error
    name, _, version = name.partition("@")
    rows = Recipe.objects.filter(name=name).order_by("-version")
    row = (rows.filter(version=int(version)) if version.isdigit() else rows).first()
    if row is None:
        raise InputError(f"There is no recipe {name!r} {version and f'version {version}'}")
    return row.content


def start_or_continue(
    *,
    dataset: Dataset,
    recipe: Recipe,
    kind: Run.Kind,
    options: dict[str, Any],
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
    fresh: bool = False,
) -> Run:
    """Return a queued run: one that an earlier call left, or a new one.

    In file form a finished run is continued too, unless it shall be a `fresh` one: the file's
    content has not changed.
    """
    budget = options.get("budget")
    return continue_run(
        dataset=dataset,
        recipe=recipe,
        kind=kind,
        sample_limit=options.get("max_samples"),
        budget_nano=None if budget is None else round(budget * NANO),
        fresh=fresh or bool(options["dataset"]),
        rejected_by=rejected_by,
        reasons=reasons,
        workers=options.get("workers") or 1,
    )


def work_off(run: Run, *, label: str, faults: str = "none") -> Run:
    """Take a run to its end in this process, with progress; return it as it ended.

    Ctrl-C stops it in order: what is in flight is still stored. Raises CommandError where it did not
    come to its end, so that no half of an output gets its final name.
    """
    done, total = _done_of(count_states(run))
    with (
        _teacher_of(run, faults) as url,
        progress(total or None, label, done=done) as bar,
        interruptible() as stop,
    ):
        while True:
            state = run_step(
                run.id, offline_url=url, on_pulse=lambda _pulse: _show(run, bar.update, stop)
            )
            if state == "held" and _is_active(run):
                # A worker of `make up` has taken it: what it does is shown until it has ended.
                _show(run, bar.update, stop)
                time.sleep(FOLLOW_SECONDS)
            elif state != Run.State.QUEUED:
                break
        run.refresh_from_db()
        _show_counts(count_states(run), bar.update)
    if run.state != Run.State.DONE:
        advice = "The same command goes on where it stopped."
        raise CommandError(f"Run {run.id} {run.state}: {run.message} {advice}")
    return run


def _show(run: Run, update: Callable[..., None], stop: Callable[[], bool]) -> None:
    if stop():
        request_stop(run_id=run.id)
    run.refresh_from_db(fields=_MOVING)
    now = live_progress(run, now=timezone.now())
    _show_counts(now.by_state, update, details=run_details(run, now))


def _is_active(run: Run) -> bool:
    return Run.objects.filter(id=run.id, state__in=Run.ACTIVE).exists()


def _show_counts(
    counts: dict[str, int], update: Callable[..., None], *, details: Iterable[str] = ()
) -> None:
    done, total = _done_of(counts)
    rested = {state: num for state, num in counts.items() if state != SampleDraw.State.PENDING}
    update(done, total=total, details=details, **rested)


def _done_of(counts: dict[str, int]) -> tuple[int, int]:
    total = sum(counts.values())
    return total - counts.get(SampleDraw.State.PENDING, 0), total


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to stop, told by the function given; a second one ends."""
    interrupted = False

    def note(_number: int, _frame: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _teacher_of(run: Run, faults: str) -> Any:
    """The offline teacher, for as long as the run needs one, else nothing; keys are looked up."""
    content, plan = run.recipe.content, PLANS[run.kind]
    names = [judge.teacher for judge in content.judges] if plan.judges else []
    if plan.asks or plan.regenerates:
        names.append(content.teacher.name)
    try:
        parse_faults(faults)
        for name in names:
            resolve(name)
    except InputError:
        # Else a worker would find it queued, and start what this command refuses.
        if run.state == Run.State.QUEUED:
            request_stop(run_id=run.id)
        raise
    is_elsewhere = bool(os.environ.get("OFFLINE_BASE_URL")) and faults == "none"
    if is_elsewhere or not any(map(is_offline, names)):
        return nullcontext()
    return offline_teacher(faults=faults)
