"""`manage.py regenerate_bad`: another attempt for what was rejected, told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.management import stage
from distill.management.destination import add_destination, destination
from distill.management.labels import take_in_labels
from distill.management.paths import data_path, shown
from distill.models import Dataset, Recipe, Run
from distill.queries.progress import count_states
from distill.queries.rejected import rejected_states
from distill.services.ingest import dataset_for_file
from distill.services.labels.read import label_form
from distill.services.tables import write_outputs


class Command(stage.StageCommand):
    help = """Ask the teacher again for what the gate or people rejected.

The stricter prompt holds the rejected answer, every reason and the reviewers' notes, and insists on
falsifiability and reproducibility. New attempts go through the same rules, judges and gate, and back
to review; their lineage is kept.

    manage.py regenerate_bad --dataset demo
    manage.py regenerate_bad --dataset demo --rejected-by people --reason not_falsifiable

In file form from what the gate rejected, or from labels alone, which need no second file (old ones
need the table whose rows they number):
    manage.py regenerate_bad --rejected rejections.parquet --dst regenerated.parquet
    manage.py regenerate_bad --rejected labels/rejected.jsonl --dst regenerated.parquet
    manage.py regenerate_bad --rejected old_labels.jsonl --src filtered.parquet
"""

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--dataset", metavar="NAME", help="work on this dataset")
        default = data_path("filtered", "rejections.parquet")
        source.add_argument(
            "--rejected",
            type=Path,
            default=None,
            metavar="FILE",
            help=f"work on this file (default: {shown(default)})",
        )
        parser.set_defaults(default_src=default)
        parser.add_argument(
            "--src", type=Path, metavar="FILE", help="the table that old labels number the rows of"
        )
        parser.add_argument(
            "--rejected-by",
            choices=Run.RejectedBy.values,
            help="whose rejections (default: anybody's; of a label file, people's)",
        )
        parser.add_argument(
            "--reason",
            action="append",
            default=[],
            choices=[reason.value for reason in Reason],
            metavar="CODE",
            help="only what was rejected for this reason, such as not_falsifiable; may be repeated",
        )
        add_destination(
            parser,
            "write the new attempts here",
            default=data_path("filtered", "teacher_regenerated_v1.parquet"),
        )
        parser.add_argument("--teacher", metavar="PROVIDER:MODEL", help="instead of the recipe's")
        stage.add_recipe(parser)
        stage.add_limits(parser)
        stage.add_misbehaviour(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        recipe = stage.find_recipe(options, self.stderr.write)
        by_labels = not options["dataset"] and self._is_label_file(options)
        if by_labels:
            dataset = self._take_in(options)
            options["rejected_by"] = options["rejected_by"] or Run.RejectedBy.PEOPLE
        else:
            dataset = stage.find_dataset({**options, "src": options["rejected"]}, self.stderr.write)
        if not options["dataset"] and not by_labels:
            # A table says that its answers were rejected; the gate says again why.
            gate = stage.start_or_continue(
                dataset=dataset, recipe=recipe, kind=Run.Kind.GATE, options=options
            )
            stage.work_off(gate, label=gate.get_kind_display(), faults=options["misbehave"])
        run = self._start(dataset, recipe, options)
        run = stage.work_off(run, label="Regenerating", faults=options["misbehave"])
        counts = count_states(run)
        if not counts:
            raise CommandError(_nothing_rejected(run, recipe))
        if dst:
            num_rows = write_outputs(run=run, dst=dst, flags=True)
            self.stdout.write(f"{num_rows} new attempts in {dst}")
        self.stdout.write(f"{run}: {stage.in_words(counts)}.")
        stage.say_reasons(run, self.stdout.write)

    def _start(self, dataset: Dataset, recipe: Recipe, options: dict[str, Any]) -> Run:
        rejected_by = options["rejected_by"] or Run.RejectedBy.ANYBODY
        reasons = [Reason(code) for code in options["reason"]]
        rejected = rejected_states(
            dataset_id=dataset.pk,
            config=recipe.content.regeneration,
            rejected_by=rejected_by,
            reasons=reasons,
        )
        return stage.start_or_continue(
            dataset=dataset,
            recipe=recipe,
            kind=Run.Kind.REGENERATE,
            options=options,
            rejected_by=rejected_by,
            reasons=reasons,
            # The dataset is the table's: another file of labels may have rejected more of it.
            fresh=bool(options["src"]) and rejected.exists(),
        )

    def _is_label_file(self, options: dict[str, Any]) -> bool:
        path: Path = options["rejected"] or options["default_src"]
        if not path.exists():
            raise InputError(f"{path} does not exist.")
        is_label_file = label_form(path) is not None
        if options["src"] and not is_label_file:
            raise InputError(f"--src goes with labels of the old form, and {path.name} holds none.")
        return is_label_file

    def _take_in(self, options: dict[str, Any]) -> Dataset:
        path, src = options["rejected"], options["src"]
        if src and not src.exists():
            raise InputError(f"{src} does not exist.")
        dataset = dataset_for_file(src or path)
        take_in_labels(dataset, path, src=src, say=self.stderr.write, warn=self.stderr.write)
        return dataset


def _nothing_rejected(run: Run, recipe: Recipe) -> str:
    config = recipe.content.regeneration
    whom = run.get_rejected_by_display().lower()
    why = f" for {', '.join(run.reasons)}" if run.reasons else ""
    return (
        f"There is nothing rejected by {whom}{why} to regenerate: {recipe} allows "
        f"{config.max_attempts} attempts of each sample, the first included, and "
        f"{config.max_attempts_after_review} of what people rejected "
        "(regeneration.max_attempts, max_attempts_after_review)."
    )
