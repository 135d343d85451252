"""What happens beside the steps: metrics are written, a wish to stop is seen, bad numbers end it."""

from __future__ import annotations

import math
import resource
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from distill.logic.errors import InputError
from training.runner.metrics_log import MetricsLog


class Progress(TrainerCallback):
    """Writes an event for every logged step, validation and save; looks for the stop file.

    `begin` holds what the `begin` event says beside the number of steps. Tokens are those that
    the student has read since the very first step, also right after a resume.
    """

    def __init__(self, log: MetricsLog, stop_file: Path, begin: dict[str, Any]) -> None:
        self.log = log
        self.stop_file = stop_file
        self.begin = begin
        self.is_stopped = False
        self._busy_seconds = 0.0
        self._step_began = 0.0
        self._tokens_logged = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._tokens_logged = state.num_input_tokens_seen
        self.log.write("begin", step=state.global_step, max_steps=state.max_steps, **self.begin)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._step_began = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._busy_seconds += time.monotonic() - self._step_began
        is_last = state.global_step >= state.max_steps
        if not is_last and self._is_stop_wanted(args):
            self.is_stopped = True
            control.should_training_stop = True
            control.should_save = True
        if is_last and args.eval_strategy != "no":
            control.should_evaluate = True
        if control.should_save:
            # The loss is looked at before each save: no checkpoint is written of bad weights.
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._log_step(state, logs)
        elif logs and "eval_loss" in logs:
            self.log.write("validation", step=state.global_step, loss=logs["eval_loss"])
            self._say(f"step {state.global_step:,}: validation loss {logs['eval_loss']:.4f}")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        path = f"{Path(str(args.output_dir)).name}/checkpoint-{state.global_step}"
        self.log.write("save", step=state.global_step, path=path)

    def _log_step(self, state: TrainerState, logs: dict[str, Any]) -> None:
        tokens = state.num_input_tokens_seen
        rate = (tokens - self._tokens_logged) / max(self._busy_seconds, 1e-9)
        self._tokens_logged, self._busy_seconds = tokens, 0.0
        loss = logs["loss"]
        self.log.write(
            "train",
            step=state.global_step,
            max_steps=state.max_steps,
            epoch=round(state.epoch or 0.0, 4),
            loss=loss,
            learning_rate=logs["learning_rate"],
            grad_norm=logs.get("grad_norm"),
            tokens=tokens,
            tokens_per_second=round(rate, 1),
            memory_mib=peak_memory_mib(),
        )
        self._say(
            f"step {state.global_step:,} of {state.max_steps:,}: loss {loss:.4f}, "
            f"{rate:,.0f} tokens/s"
        )
        if not math.isfinite(loss):
            raise InputError(
                f"The loss became {loss} at step {state.global_step}: lower learning_rate, raise "
                "warmup_steps, or lower clip. Nothing was saved since."
            )

    def _is_stop_wanted(self, args: TrainingArguments) -> bool:
        wanted = self.stop_file.exists()
        if args.world_size == 1:
            return wanted
        # One rank may see the file a step before the others; they must stop at the same one.
        flag = torch.tensor(int(wanted), device=args.device)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())

    def _say(self, line: str) -> None:
        if self.log.is_writer:
            print(line, flush=True)


def peak_memory_mib() -> int:
    """The most memory held so far: of the accelerator where there is one, else of the process."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
