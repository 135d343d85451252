"""The loss of a model over rows that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from training.runner.render import IGNORED, Tokens


@torch.inference_mode()
def measure_loss(model: PreTrainedModel, rows: Iterable[Tokens]) -> dict[str, Any]:
    """Mean loss in nats a counted token, over all counted tokens of all rows.

    One row at a time, and scores only where a token is counted: exact without padding, and small
    in memory however large the vocabulary is. Null where nothing counts, or it is no number.
    """
    total, tokens, num_rows = 0.0, 0, 0
    for row in rows:
        num_rows += 1
        total += _summed_loss(model, row)
        tokens += row.num_counted
    loss = total / tokens if tokens else math.nan
    return {"loss": loss if math.isfinite(loss) else None, "tokens": tokens, "rows": num_rows}


def _summed_loss(model: PreTrainedModel, row: Tokens) -> float:
    labels = torch.tensor(row.labels[1:], device=model.device)
    places = (labels != IGNORED).nonzero().flatten()
    ids = torch.tensor([row.input_ids], device=model.device)
    # The scores at a place are for the token that follows it.
    scores = model(input_ids=ids, logits_to_keep=places, use_cache=False).logits[0]
    return float(functional.cross_entropy(scores.float(), labels[places], reduction="sum"))
