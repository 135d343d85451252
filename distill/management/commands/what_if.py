"""`manage.py what_if`: what the gate of a dataset does, and would do with other settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from distill.logic.errors import ConflictError, InputError
from distill.logic.gate_settings import moved, read_changes
from distill.logic.what_if import Settings
from distill.management import stage
from distill.models import Dataset
from distill.queries.gate_page import GatePage, read_gate
from distill.queries.gate_report import count_samples, gate_report, known_dimensions
from distill.queries.snapshot import Snapshot, base_content, load_snapshot
from distill.services.save_gate import save_gate
from distill.services.snapshots import count_candidates, take_snapshot
from distill.templatetags.nexa import percent

_EXCERPT = 72
_SIDES = {True: "would pass", False: "would not"}


class Command(stage.StageCommand):
    help = """Say what the gate lets through, and what it would with other thresholds and rules.

It answers from stored scores and measures and asks no model: the waterfall, what is accepted now and
then, the reasons, the cost of each accepted one, how far the gate agrees with people, and at most
twenty completions that would change sides. Nothing is changed but with --save.

    manage.py what_if --dataset demo
    manage.py what_if --dataset demo --set gate.min_mean=0.7 --set rules.citation=false
    manage.py what_if --dataset demo --set gate.min_scores.grounding=0.6 --json
    manage.py what_if --dataset demo --set gate.min_mean=0.7 --save

Names are those of a recipe: gate.min_mean, gate.review_band, gate.max_disagreement,
gate.min_scores.<dimension>, rules.<code> as a switch, rules.<number>; an unknown one is refused, and
all that are known are named. What a rule says: page “Rules” of the dataset.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, metavar="NAME", help="look at this dataset")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            dest="changes",
            metavar="NAME=VALUE",
            help="what to move, any number of times; the rest stays as in the recipe of the "
            "dataset's latest run",
        )
        parser.add_argument(
            "--save",
            action="store_true",
            help="keep the settings as a new version of that recipe; the same ones make none",
        )
        parser.add_argument("--json", action="store_true", help="one object on one line")

    def handle(self, *args: Any, **options: Any) -> None:
        changes = read_changes(options["changes"])
        dataset = stage.find_dataset(options, self.stderr.write)
        content = base_content(dataset)
        base, snapshot = Settings.of(content), self._look(dataset)
        asked = moved(base, changes, dimensions=known_dimensions(content, snapshot))
        page = read_gate(
            snapshot,
            dataset,
            base=base,
            asked=asked,
            query={},
            group="template",
            num_asked=count_samples(dataset) * content.teacher.draws,
        )
        saved = save_gate(dataset=dataset, settings=asked) if options["save"] else None
        if options["json"]:
            told = {"dataset": dataset.name, "saved": str(saved) if saved else None}
            self.stdout.write(json.dumps(told | gate_report(page, asked)))
            return
        for line in _told(page):
            self.stdout.write(line)
        if saved:
            self.stdout.write(
                f"\nThese settings are {saved}. A run of the kind “Re-evaluate” decides the answers "
                "that are there anew with it, and asks no model."
            )

    def _look(self, dataset: Dataset) -> Snapshot:
        """The dataset's snapshot, taken anew where something has happened since."""
        snapshot = load_snapshot(dataset)
        if snapshot is None or snapshot.is_stale:
            if not count_candidates(dataset, limit=1):
                raise InputError(
                    f"{dataset} has no completions yet: start a run, and what its teacher answers "
                    "is decided by the gate."
                )
            self.stderr.write("Looking at all completions anew …")
            take_snapshot(dataset=dataset)
            snapshot = load_snapshot(dataset)
            if snapshot is None:
                raise ConflictError(f"{dataset} was deleted meanwhile.")
        return snapshot


def _told(page: GatePage) -> Iterator[str]:
    """The page's tables as lines of a terminal."""
    yield from _waterfall(page)
    yield from ("", *_figures(page))
    if page.alert:
        yield from ("", page.alert.text)
    if page.reasons:
        yield from ("", *_reasons(page))
    if page.changes:
        yield from ("", *_changes(page))


def _waterfall(page: GatePage) -> Iterator[str]:
    width = max(len(label) for label, *_ in page.waterfall)
    most = max(count for _, count, *_ in page.waterfall) or 1
    yield f"{'Waterfall':<{width}}  {'left':>10}  {'taken':>10}"
    losses = {step.label: step.lost for step in page.steps}
    for label, count, _href, _losses in page.waterfall:
        taken = f"−{losses[label]:,}" if losses.get(label) else ""
        bar = "█" * round(20 * count / most)
        yield f"{label:<{width}}  {count:>10,}  {taken:>10}  {bar}".rstrip()


def _figures(page: GatePage) -> Iterator[str]:
    now, then, agreement = page.now, page.then, page.then.agreement
    yield f"{'':<24}{'now':>10}  {'then':>10}"
    for label, name in (
        ("Passed the gate", "passed"),
        ("Accepted", "accepted"),
        ("People must look", "must_review"),
        ("Not judged", "unjudged"),
    ):
        yield f"{label:<24}{getattr(now, name):>10,}  {getattr(then, name):>10,}"
    yield f"Cost of each accepted one, then: {page.cost} ({page.cost_hint})"
    if page.interval is None:
        yield "Agreement with people: they have decided nothing yet"
        return
    low, high = page.interval
    yield (
        f"Agreement with people: {percent(agreement.agreed / agreement.total)} of "
        f"{agreement.total:,} (95 % interval {percent(low)} to {percent(high)}); the gate alone "
        f"says yes to {agreement.only_gate:,}, people alone to {agreement.only_people:,}"
    )


def _reasons(page: GatePage) -> Iterator[str]:
    width = max(len(row.reason.label) for row in page.reasons)
    yield f"{'Reason or flag':<{width}}  {'now':>10}  {'then':>10}"
    for row in page.reasons:
        yield f"{row.reason.label:<{width}}  {row.now:>10,}  {row.then:>10,}"


def _changes(page: GatePage) -> Iterator[str]:
    yield "Would change sides, at most 20:"
    for row in page.changes:
        change = row.change
        mean = "     " if change.mean_score is None else f"{change.mean_score:5.2f}"
        people = f", people {change.label}" if change.label else ""
        why = ", ".join(code.label for code in change.why)
        said = " ".join(row.excerpt.split())
        short = said if len(said) <= _EXCERPT else f"{said[: _EXCERPT - 1]}…"
        yield f"  {change.completion_id:>8}  {_SIDES[change.passes]:<10}  {mean}  {why}{people}"
        yield f"            {_printable(short)}"


def _printable(text: str) -> str:
    """A model's text moves no cursor and changes no colour."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
