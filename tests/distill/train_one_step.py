"""Load an export with `datasets` as its card says, and train TRL's SFTTrainer one step on it.

    python tests/distill/train_one_step.py FOLDER

A program of its own: torch belongs into no process of the tests. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from datasets import Dataset, DatasetDict, Features, load_dataset

SPLITS = ("train", "validation", "test")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>"
    "{% endgeneration %}{% else %}{{ message.content }}<|im_end|>{% endif %}\n{% endfor %}"
)


def load(folder: Path) -> tuple[DatasetDict, DatasetDict]:
    """The export by its card (Parquet), and its JSONL files."""
    by_card = load_dataset(str(folder))
    lines = {split: str(folder / f"{split}.jsonl") for split in SPLITS}
    # An empty file has no columns to be guessed from.
    filled = {split: path for split, path in lines.items() if Path(path).stat().st_size}
    return by_card, load_dataset("json", data_files=filled, features=by_card["train"].features)


def features_in_card(folder: Path) -> Features:
    head = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    return Features._from_yaml_list(head["dataset_info"]["features"])


def train_one_step(rows: Dataset, folder: str) -> float:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    texts = [message["content"] for row in rows for message in row["messages"]]
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=special[0], eos_token=special[2], chat_template=TEMPLATE
    )
    model = Qwen3ForCausalLM(
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
    config = SFTConfig(
        output_dir=folder,
        max_steps=1,
        per_device_train_batch_size=2,
        max_length=4096,
        assistant_only_loss=True,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(model, config, train_dataset=rows, processing_class=tokenizer)
    return float(trainer.train().training_loss)


def main(folder: Path) -> None:
    by_card, by_lines = load(folder)
    schema = pq.read_schema(folder / "data" / "train-00000-of-00001.parquet")
    with tempfile.TemporaryDirectory() as output:
        loss = train_one_step(by_card["train"], output)
    said = {
        "rows": {split: len(rows) for split, rows in by_card.items()},
        "same_rows": all(
            by_lines[split].to_list() == by_card[split].to_list() for split in by_lines
        ),
        "same_features": features_in_card(folder)
        == by_card["train"].features
        == Features.from_arrow_schema(schema),
        "loss": loss,
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
