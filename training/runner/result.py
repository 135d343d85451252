"""The trained student as a folder that loads by itself, with a card that says what it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import Trainer

from training.logic.layout import TrainingLayout
from training.logic.spec import TrainSpec, dump_spec
from training.runner.environment import library_versions
from training.runner.publish import draft_of, publish, write_json
from training.runner.render import end_of_turn, read_rows
from training.runner.student import Student

END_FILE = "end.json"

_STAND_IN = "offline:"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to: steps, losses in nats a token, rows used."""

    steps: int
    train_loss: float
    validation_loss: float | None
    num_rows: int

    def as_end(self, *, seconds: float) -> dict[str, Any]:
        """The `end` event of a training that is done."""
        return {
            "step": self.steps,
            "why": "done",
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
            "seconds": seconds,
            "model": "model",
        }


def save_result(
    trainer: Trainer, layout: TrainingLayout, student: Student, *, card: str, end: dict[str, Any]
) -> None:
    """Write weights, tokenizer, template and card to the run's `model` folder, whole or not at all.

    Every rank calls it, since sharded weights are gathered from all; the first one writes. The
    `end` event goes with them, for a start that finds a kill between this and the event.
    """
    args = trainer.args
    draft = draft_of(layout.model) if args.should_save else Path("unused")
    model, tokenizer = student.model, student.tokenizer
    stops = {end_of_turn(tokenizer), tokenizer.eos_token_id} - {None}
    # Who loads it elsewhere shall stop where the template ends a turn, too.
    model.generation_config.eos_token_id = sorted(stops)
    trainer.save_model(str(draft))
    if args.should_save:
        (draft / "training_args.bin").unlink(missing_ok=True)
        (draft / "README.md").write_text(card, encoding="utf-8")
        write_json(draft / END_FILE, end)
        publish(draft, layout.model)


def model_card(spec: TrainSpec, layout: TrainingLayout, outcome: Outcome) -> str:
    """The card of the result, as Markdown."""
    train = layout.rows("train")
    with train.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    num_rows, num_stand_in = _count_rows(train)
    versions = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    student = spec.student + (f" at {spec.revision}" if spec.revision else "")
    validation = outcome.validation_loss
    lines = [
        f"# {spec.name}",
        "",
        f"A student trained from `{student}` by Nexa Distill, on hypothesis-method pairs.",
        *_stand_in_note(num_stand_in, num_rows),
        "",
        "| | |",
        "|---|---|",
        f"| rows trained on | {outcome.num_rows:,} of {num_rows:,} |",
        f"| SHA-256 of {train.name} | `{digest}` |",
        f"| steps | {outcome.steps:,} |",
        f"| training loss, mean of the run | {outcome.train_loss:.4f} nats a token |",
        f"| validation loss at the end | {f'{validation:.4f} nats a token' if validation is not None else 'no rows'} |",
        f"| libraries | {versions} |",
        "",
        "The spec:",
        "",
        "```yaml",
        dump_spec(spec).rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _count_rows(path: Path) -> tuple[int, int]:
    """How many rows there are, and how many of them the stand-in wrote."""
    num_rows = num_stand_in = 0
    for row in read_rows(path):
        num_rows += 1
        num_stand_in += str(row.get("teacher") or "").startswith(_STAND_IN)
    return num_rows, num_stand_in


def _stand_in_note(num_stand_in: int, num_rows: int) -> list[str]:
    if not num_stand_in:
        return []
    return [
        "",
        f"**{num_stand_in:,} of {num_rows:,} rows were written by the offline stand-in teacher**, "
        "a program without knowledge: this student shows that the pipeline works, and nothing else.",
    ]
