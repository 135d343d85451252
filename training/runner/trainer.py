"""TRL's trainer, set up from a spec."""

from __future__ import annotations

import torch
from datasets import Dataset
from torch import distributed
from transformers import PrinterCallback, TrainerState
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from distill.logic.errors import InputError
from training.logic.layout import TrainingLayout
from training.logic.spec import TrainSpec
from training.runner.progress import Progress
from training.runner.student import Student

_SCHEDULERS = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def make_arguments(spec: TrainSpec, layout: TrainingLayout) -> SFTConfig:
    """The spec in TRL's words. With several processes, this is where they meet.

    Raises InputError where this host lacks what the spec needs.
    """
    use_cpu = spec.device == "cpu" or not torch.cuda.is_available()
    if spec.bf16 and use_cpu:
        raise InputError("bf16 needs a GPU, and none is used here: set bf16: false.")
    if not use_cpu and spec.processes > torch.cuda.device_count():
        raise InputError(
            f"processes is {spec.processes}, and this host has {torch.cuda.device_count()} GPUs."
        )
    torch.set_num_threads(spec.threads)
    has_validation = layout.rows("validation").exists()
    return SFTConfig(
        output_dir=str(layout.checkpoints),
        max_length=spec.max_length,
        packing=spec.packing,
        # They are tokens, and none too long: cutting them would only copy them all into memory.
        dataset_kwargs={"skip_prepare_dataset": not spec.packing},
        num_train_epochs=spec.epochs,
        max_steps=spec.max_steps or -1,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.accumulation,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=_SCHEDULERS[spec.scheduler],
        warmup_steps=spec.warmup_steps,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.clip,
        seed=spec.seed,
        use_cpu=use_cpu,
        bf16=spec.bf16,
        activation_checkpointing=spec.gradient_checkpointing,
        logging_steps=spec.log_every,
        logging_first_step=True,
        # Trainer's filter would show the last good loss in place of a bad one.
        logging_nan_inf_filter=False,
        eval_strategy="steps" if has_validation else "no",
        eval_steps=spec.validate_every,
        prediction_loss_only=True,
        save_steps=spec.save_every,
        save_total_limit=spec.keep,
        # Kept in the checkpoint, unlike TRL's own count. Packed rows have no padding to leave out.
        include_num_input_tokens_seen="all" if spec.packing else "non_padding",
        dataloader_pin_memory=not use_cpu,
        ddp_find_unused_parameters=False,
        disable_tqdm=True,
        report_to="none",
    )


def make_trainer(
    args: SFTConfig, student: Student, splits: dict[str, Dataset], progress: Progress
) -> SFTTrainer:
    """TRL's trainer over rows that are tokens already; it takes their labels as they are."""
    validation = splits.get("validation")
    if not validation:
        args.eval_strategy = "no"
    trainer = SFTTrainer(
        model=student.model,
        args=args,
        processing_class=student.tokenizer,
        train_dataset=splits["train"],
        eval_dataset=validation or None,
        callbacks=[progress],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def mean_train_loss(state: TrainerState) -> float:
    """The mean loss over all steps; Trainer's own forgets those before a resume."""
    total, done = 0.0, 0
    for entry in state.log_history:
        if "loss" in entry:  # the mean since the entry before
            total += entry["loss"] * (entry["step"] - done)
            done = int(entry["step"])
    return total / max(done, 1)


def last_validation_loss(state: TrainerState) -> float | None:
    """The validation loss that was measured last, in nats a token."""
    losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
    return losses[-1] if losses else None


def device_name(args: SFTConfig) -> str:
    """The accelerator's name, or cpu."""
    if args.device.type == "cuda":
        return str(torch.cuda.get_device_name(args.device))
    return str(args.device.type)


def leave_group() -> None:
    """Part from the other processes in order, where there are any."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
