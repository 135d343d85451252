"""Train a student on the rows of a folder, as its spec says.

    python -m training.runner.sft FOLDER
    torchrun --standalone --nproc_per_node 2 -m training.runner.sft FOLDER

1. The libraries are told what they read while they are imported, and are imported.
2. The first process looks for a whole checkpoint to go on from, and creates a `tiny` student.
3. All processes load the student and turn the rows into tokens.
4. It is trained, with a line of metrics a step, until it is done or the stop file is there.
5. Once it is done, it is written with its card to `model`, whole.

What a folder holds is said in `training.logic.layout`. Started again it goes on where it was;
started again once it is done it changes nothing. Exit code 0: done or stopped in order.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from distill.logic.errors import InputError
from training.logic.layout import TrainingLayout
from training.logic.spec import TINY, TrainSpec
from training.runner import environment
from training.runner.clear_errors import clear_errors
from training.runner.metrics_log import MetricsLog

if TYPE_CHECKING:
    from training.runner.render import Rendered


def main(folder: Path) -> None:
    """Train what the folder's spec asks for; see the module's text."""
    environment.die_with_parents()
    layout = TrainingLayout(folder)
    log = MetricsLog(layout.metrics, is_writer=environment.rank() == 0)
    with clear_errors(log):
        spec = TrainSpec.model_validate_json(layout.spec.read_bytes())
        environment.check_processes(spec.processes)
        is_offline = spec.student == TINY or environment.is_local(spec.student)
        environment.prepare_environment(threads=spec.threads, is_offline=is_offline)
        if layout.model.exists():
            print("This training is done: its model is there.", flush=True)
            log.write("end", **json.loads((layout.model / "end.json").read_bytes()))
        else:
            train(spec, layout, log)


def train(spec: TrainSpec, layout: TrainingLayout, log: MetricsLog) -> None:
    """Steps 2 to 5 of the module's text."""
    from training.runner import checkpoints, render, result, student, token_store, trainer
    from training.runner.progress import Progress

    began = time.monotonic()
    args = trainer.make_arguments(spec, layout)
    with args.main_process_first(local=False):
        if args.process_index == 0:
            student.ensure_base(spec, render.read_rows(layout.rows("train")), layout.base)
            checkpoints.choose_checkpoint(layout.checkpoints)
    checkpoint = checkpoints.choose_checkpoint(layout.checkpoints)
    learner = student.load_student(spec, layout.base)
    splits, counts = {}, {}
    for split in ("train", "validation"):
        if layout.rows(split).exists():
            counts[split] = render.Rendered()
            rows = render.render_rows(
                render.read_rows(layout.rows(split)),
                learner.tokenizer,
                max_length=spec.max_length,
                rendered=counts[split],
            )
            file = layout.folder / f".tokens-{split}-{args.process_index}"
            splits[split] = token_store.store_tokens(rows, file)
            report_rows(split, counts[split], spec, log)

    progress = Progress(
        log,
        layout.stop,
        {
            "num_rows": counts["train"].kept,
            "num_tokens": counts["train"].num_tokens,
            "num_parameters": learner.model.num_parameters(),
            "device": trainer.device_name(args),
            "world_size": args.world_size,
            "versions": environment.library_versions(),
        },
    )
    sft = trainer.make_trainer(args, learner, splits, progress)
    sft.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    seconds = round(time.monotonic() - began, 1)
    if progress.is_stopped:
        log.write("end", step=sft.state.global_step, why="stopped", seconds=seconds, model=None)
    else:
        outcome = result.Outcome(
            steps=sft.state.global_step,
            train_loss=trainer.mean_train_loss(sft.state),
            validation_loss=trainer.last_validation_loss(sft.state),
            num_rows=counts["train"].kept,
        )
        end = outcome.as_end(seconds=seconds)
        card = result.model_card(spec, layout, outcome)
        result.save_result(sft, layout, learner, card=card, end=end)
        log.write("end", **end)
    trainer.leave_group()


def report_rows(split: str, rendered: Rendered, spec: TrainSpec, log: MetricsLog) -> None:
    """Say how many rows are used and left out; InputError where that is none, or is refused."""
    kept = rendered.kept
    log.write(
        "report",
        split=split,
        kept=kept,
        dropped=rendered.dropped,
        too_long=rendered.too_long,
        with_special=rendered.with_special,
        longest=rendered.longest,
    )
    facts = (
        f"{split}: {kept:,} rows kept; {rendered.too_long:,} are longer than max_length "
        f"{spec.max_length:,} (the longest has {rendered.longest:,} tokens), "
        f"{rendered.with_special:,} hold a special token of the student in their answer."
    )
    if log.is_writer:
        print(facts, flush=True)
    if rendered.too_long and spec.too_long == "refuse":
        raise InputError(f"{facts} Raise max_length, or set too_long: drop.")
    if not kept and split == "train":
        raise InputError(f"Nothing is left to train on. {facts} Raise max_length.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
