"""Load an export with `datasets` as its card says, and train TRL one step on three of its configs.

    python tests/distill/train_one_step.py FOLDER

A program of its own, one for all configs: torch belongs into no process of the tests, and importing
TRL takes seconds. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from datasets import Dataset, DatasetDict, Features, get_dataset_config_names, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPLITS = ("train", "validation", "test")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>"
    "{% endgeneration %}{% else %}{{ message.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def load_lines(folder: Path, features: Features) -> DatasetDict:
    """The JSONL files of a config."""
    lines = {split: folder / f"{split}.jsonl" for split in SPLITS}
    # An empty file has no columns to be guessed from.
    filled = {split: str(path) for split, path in lines.items() if path.stat().st_size}
    return load_dataset("json", data_files=filled, features=features)


def card_head(folder: Path) -> dict[str, Any]:
    head: dict[str, Any] = yaml.safe_load(
        (folder / "README.md").read_text("utf-8").split("---\n")[1]
    )
    return head


def texts_of(rows: Dataset) -> Iterator[str]:
    return (message["content"] for row in rows for message in row["messages"])


def make_tokenizer(texts: Iterator[str]) -> Any:
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=special[0], eos_token=special[2], chat_template=TEMPLATE
    )


def make_model(tokenizer: Any) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def train_one_step(rows: Dataset, tokenizer: Any, folder: str) -> float:
    """The loss of one step: DPO on pairs, SFT on everything else."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    settings: dict[str, Any] = {
        "output_dir": folder,
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "max_length": 4096,
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }
    model = make_model(tokenizer)
    given = {"train_dataset": rows, "processing_class": tokenizer}
    trainer: SFTTrainer | DPOTrainer
    if "chosen" in rows.column_names:
        config = DPOConfig(**settings)
        # A model without a path of its own has no copy to be held against.
        trainer = DPOTrainer(model, make_model(tokenizer), args=config, **given)
    else:
        of_chat = "messages" in rows.column_names
        trainer = SFTTrainer(
            model, args=SFTConfig(assistant_only_loss=of_chat, **settings), **given
        )
    return float(trainer.train().training_loss)


def look_at(folder: Path, config: str) -> dict[str, Any]:
    """Whether a config's card, Parquet and JSONL say the same."""
    rows = load_dataset(str(folder), config)
    home = folder if config == "messages" else folder / config
    lines = load_lines(home, rows["train"].features)
    shards = home / "data" if config == "messages" else home
    schema = pq.read_schema(next(shards.glob("train-*")))
    (info,) = (one for one in card_head(folder)["dataset_info"] if one["config_name"] == config)
    return {
        "rows": {split: len(part) for split, part in rows.items()},
        "counts_in_card": {one["name"]: one["num_examples"] for one in info["splits"]},
        "same_rows": all(lines[split].to_list() == rows[split].to_list() for split in lines),
        "same_features": Features._from_yaml_list(info["features"])
        == rows["train"].features
        == Features.from_arrow_schema(schema),
    }


def main(folder: Path) -> None:
    names = get_dataset_config_names(str(folder))
    default = load_dataset(str(folder), split="train")
    tokenizer = make_tokenizer(texts_of(default))
    with tempfile.TemporaryDirectory() as output:
        losses = {
            config: train_one_step(
                load_dataset(str(folder), config, split="train"), tokenizer, output
            )
            for config in ("messages", "prompt_completion", "preference")
        }
    said = {
        "configs": {config: look_at(folder, config) for config in names},
        "default_columns": default.column_names,
        "losses": losses,
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
