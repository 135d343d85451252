"""`manage.py to_sft`: package chosen completions as training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.sft_configs import CONFIGS, MAIN
from distill.management import stage
from distill.management.destination import add_destination, destination
from distill.management.paths import data_path, shown
from distill.models import Dataset, Export, Run
from distill.services.export import export_dataset
from distill.services.recipes import save_recipe
from distill.services.tables import write_sft


class Command(stage.StageCommand):
    help = """Write training data: chat messages as JSONL and Parquet side by side, with a manifest.

By dataset, as a numbered export under the data folder (the same rows again give the same export),
or into a file of your own:
    manage.py to_sft --dataset demo --policy reviewed
    manage.py to_sft --dataset demo --policy gate --dst sft.jsonl
    manage.py to_sft --dataset demo --configs prompt_completion,preference

A numbered export holds the chats (messages) and, in a folder each, the same as prompt and completion,
as Alpaca with LLaMA-Factory's dataset_info.json, pairs for preference training, and what was rejected.

In the guide's file form every row of the file that passes the (free) rules is taken:
    manage.py to_sft --src filtered.parquet --dst sft_scientific_v1.jsonl

Splits go by source document. Beside x.jsonl stand x.parquet, both for each split (x_train.jsonl,
…) and x.manifest.json with counts, hashes and the waterfall. The same inputs give the same bytes.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        stage.add_source(parser, default=data_path("filtered", "filtered_v1.parquet"))
        add_destination(
            parser,
            "the JSONL file to write",
            default=data_path("sft_datasets", "sft_scientific_v1.jsonl"),
            by_dataset="a numbered export",
        )
        parser.add_argument(
            "--policy",
            choices=Export.Policy.values,
            default=Export.Policy.REVIEWED,
            help="with --dataset: what passed the gate, what a person accepted, or what several "
            "agreed on or one settled (gold); default: %(default)s",
        )
        parser.add_argument(
            "--configs",
            default="",
            metavar="A,B",
            help="of a numbered export: which forms are written beside messages, out of "
            f"{', '.join(name for name in CONFIGS if name != MAIN)}; default: the recipe's",
        )
        parser.add_argument(
            "--rows-per-shard",
            type=int,
            metavar="N",
            help="of a numbered export: rows in one Parquet file at most; default: the recipe's",
        )
        stage.add_recipe(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dst = destination(options)
        dataset = stage.find_dataset(options, self.stderr.write)
        if dst and not options["dataset"]:
            self._write(self._check(dataset, options), Export.Policy.GATE, dst)
        elif dst:
            self._write(dataset, options["policy"], dst)
        else:
            export = export_dataset(
                dataset=dataset,
                policy=options["policy"],
                configs=options["configs"].split(",") if options["configs"] else (),
                rows_per_shard=options["rows_per_shard"],
            )
            folder = Path(settings.DATA_DIR, export.folder)
            self.stdout.write(f"{export} in {shown(folder)}")

    def _check(self, dataset: Dataset, options: dict[str, Any]) -> Run:
        """Run the rules over the file's rows; judges were asked before, or were not wanted."""
        content = stage.find_recipe(options, self.stderr.write).content
        # Under a name of its own: as the newest version it would be suggested for the next run.
        changes = {"judges": (), "name": f"{content.name[:94]}-rules"}
        without_judges = RecipeContent.model_validate(content.model_dump() | changes)
        run = stage.start_or_continue(
            dataset=dataset,
            recipe=save_recipe(content=without_judges),
            kind=Run.Kind.GATE,
            options=options,
        )
        run = stage.work_off(run, label="Checking")
        stage.say_reasons(run, self.stderr.write)
        return run

    def _write(self, source: Dataset | Run, policy: str, dst: Path) -> None:
        num_rows = write_sft(source=source, policy=policy, dst=dst)
        self.stdout.write(f"{num_rows} training rows in {dst} and {dst.with_suffix('.parquet')}")
