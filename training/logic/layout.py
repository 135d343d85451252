"""The files of a training run's folder, and of an evaluation's: who writes them, who reads them.

The site writes specs, rows and questions; the runner everything else, except `process.json`,
`exit.json` and the logs, which are the shim's. Nothing is exchanged in any other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessLayout:
    """What every folder with a process has."""

    folder: Path

    @property
    def process(self) -> Path:
        """JSON of the shim, whole or absent: `pid` (its process group too), `started` (ticks)."""
        return self.folder / "process.json"

    @property
    def exit(self) -> Path:
        """JSON of the shim, once the program has ended: `code`, `why`."""
        return self.folder / "exit.json"

    @property
    def log(self) -> Path:
        """Everything that the program prints, both streams."""
        return self.folder / "log.txt"

    @property
    def stop(self) -> Path:
        """Whoever makes this file asks for an orderly end."""
        return self.folder / "stop"

    @property
    def metrics(self) -> Path:
        """JSONL by `runner.metrics_log`: one event a line, appended; a last line may be half.

        Each has `kind` and `at`. Of a training: report, begin, train, validation, save, end; of an
        evaluation: begin, load, loss, answer, end; of both: error, with `message` for people. A
        step that is done again after a resume comes again, and the later line counts.
        """
        return self.folder / "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingLayout(ProcessLayout):
    """The folder of a training run."""

    @property
    def spec(self) -> Path:
        """`logic.spec.TrainSpec` as JSON."""
        return self.folder / "spec.json"

    def rows(self, split: str) -> Path:
        """Export rows (JSONL) of a split: train, validation, test; absent where there are none."""
        return self.folder / f"{split}.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def base(self) -> Path:
        """The untrained weights of a `tiny` student, with its tokenizer."""
        return self.folder / "base"

    @property
    def model(self) -> Path:
        """The trained student, with tokenizer, template, card and `end.json` (its `end` event);
        whole or absent."""
        return self.folder / "model"


@dataclass(frozen=True, slots=True)
class EvaluationLayout(ProcessLayout):
    """The folder of an evaluation."""

    @property
    def spec(self) -> Path:
        """`logic.spec.AnswerSpec` as JSON."""
        return self.folder / "spec.json"

    @property
    def questions(self) -> Path:
        """JSONL: `sample_id`, `messages` (without the assistant's)."""
        return self.folder / "questions.jsonl"

    @property
    def held_out(self) -> Path:
        """Export rows (JSONL) whose loss is measured."""
        return self.folder / "held_out.jsonl"

    def answers(self, role: str) -> Path:
        """JSONL by role: `sample_id`, `text`, `finish_reason`, `prompt_tokens`,
        `completion_tokens`, `latency_ms`; appended as they come, continued after a kill."""
        return self.folder / f"answers-{role}.jsonl"

    def loss(self, role: str) -> Path:
        """JSON by role: `loss` (nats a token), `tokens`, `rows`, `too_long`."""
        return self.folder / f"loss-{role}.json"
