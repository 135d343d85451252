"""How the configs of an export are read by the programs that train on them: text to copy."""

from __future__ import annotations

FOLDER = "path/to/this/folder"

_LOADED = 'rows = load_dataset("{folder}", "{config}", split="train")'
_TRAINERS = {
    "messages": "SFTTrainer(model, train_dataset=rows)",
    "prompt_completion": "SFTTrainer(model, train_dataset=rows)",
    "preference": "DPOTrainer(model, train_dataset=rows)",
}
_AXOLOTL = """
# axolotl
datasets:
  - path: {folder}
    name: messages
    split: train
    type: chat_template
    field_messages: messages"""
_LLAMA_FACTORY = """
# LLaMA-Factory
dataset_dir: {folder}
dataset: {dataset}_{config}_train"""


def load_snippet(config: str, *, dataset: str, folder: str = FOLDER) -> str:
    """Lines that load the config's training rows: in Python, and where it fits in YAML."""
    lines = ["from datasets import load_dataset", ""]
    if trainer := _TRAINERS.get(config):
        lines.insert(1, f"from trl import {trainer.partition('(')[0]}")
    lines.append(_LOADED.format(folder=folder, config=config))
    if trainer:
        lines.append(trainer)
    text = "\n".join(lines)
    if config == "messages":
        text += "\n" + _AXOLOTL.format(folder=folder)
    if config in ("messages", "alpaca"):
        text += "\n" + _LLAMA_FACTORY.format(folder=folder, dataset=dataset, config=config)
    return text
