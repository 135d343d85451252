"""The YAML head of an export's card: what the Hugging Face Hub and `datasets` read.

Keys and words as https://huggingface.co/docs/hub/datasets-cards names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from distill.logic.sft_configs import CONFIGS, MAIN, SPLITS

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def card_head(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The head; `datasets` refuses an export that names a split without rows, so none is named."""
    human = [] if manifest["policy"] == "gate" else ["expert-generated"]
    filled = {
        name: [split for split in SPLITS if counts[split]]
        for name in CONFIGS
        if (counts := manifest["configs"].get(name)) and counts["total"]
    }
    return {
        **({"language": languages} if (languages := _languages(manifest)) else {}),
        "license": "unknown",
        "pretty_name": manifest["dataset"],
        "size_categories": [_size(manifest["counts"]["total"])],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "distillation", "scientific-hypotheses", "nexa-distill"],
        "annotations_creators": ["machine-generated", *human],
        "source_datasets": ["original"],
        "configs": [_config(name, splits) for name, splits in filled.items()],
        "dataset_info": [_info(manifest, name, splits) for name, splits in filled.items()],
    }


def _languages(manifest: Mapping[str, Any]) -> list[str]:
    """What the recipes' rule on the language lets through; nothing where one takes any language."""
    rules = [recipe["document"]["rules"] for recipe in manifest["recipes"]]
    wanted = {rule["language"] if rule["other_language"] else "" for rule in rules}
    return sorted(wanted) if wanted and "" not in wanted else []


def _size(total: int) -> str:
    return next((words for limit, words in _SIZES if total < limit), "n>10M")


def _config(name: str, splits: list[str]) -> dict[str, Any]:
    folder = CONFIGS[name].shards_folder
    default = {"default": True} if name == MAIN else {}
    files = [{"split": split, "path": f"{folder}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, **default, "data_files": files}


def _info(manifest: Mapping[str, Any], name: str, splits: list[str]) -> dict[str, Any]:
    return {
        "config_name": name,
        "features": [{"name": field.name, **_type(field.type)} for field in CONFIGS[name].schema],
        "splits": [
            {
                "name": split,
                "num_bytes": _num_bytes(manifest, name, split),
                "num_examples": manifest["configs"][name][split],
            }
            for split in splits
        ],
    }


def _num_bytes(manifest: Mapping[str, Any], name: str, split: str) -> int:
    return sum(
        file["bytes"]
        for file in manifest["files"]
        if file["split"] == split and file["config"] == name and file["name"].endswith(".parquet")
    )


def _type(kind: pa.DataType) -> dict[str, Any]:
    """A column's type as the Hub names it."""
    if not pa.types.is_list(kind):
        return {"dtype": _DTYPES.get(str(kind), str(kind))}
    inner = kind.value_type
    if pa.types.is_struct(inner):
        return {"list": [{"name": one.name, **_type(one.type)} for one in inner]}
    return {"list": _type(inner).get("dtype") or _type(inner)}


_DTYPES = {"double": "float64"}
