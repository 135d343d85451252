"""What is exported is what the field's libraries take: `datasets` loads it, TRL trains on it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distill.logic.reasons import Reason
from distill.logic.sft import SFT_SCHEMA
from distill.logic.sft_configs import CONFIGS
from distill.services.export import export_dataset
from tests.builders import make_completion, make_dataset, make_judgement, make_label, make_sample

pytestmark = pytest.mark.django_db

PROGRAM = Path(__file__).with_name("train_one_step.py")
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def test_every_config_loads_in_datasets_and_three_train_a_step_in_trl(data_dir, tmp_path):
    dataset = make_dataset()
    for split in ("train", "train", "train", "validation"):
        sample = make_sample(dataset, split=split)
        first = make_completion(
            sample, state="rejected", reasons=[Reason.TOO_SHORT], fields={"hypothesis": "Soils."}
        )
        completion = make_completion(sample, attempt=2, parent=first)
        make_judgement(completion)
        make_label(completion)
    export = export_dataset(dataset=dataset, policy="reviewed")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(data_dir / export.folder)],
        env={**os.environ, **OFFLINE, "HF_HOME": str(tmp_path / "hub")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert list(said["configs"]) == list(CONFIGS)
    for config, found in said["configs"].items():
        assert found["rows"] == {"train": 3, "validation": 1}, "an empty split is not in the card"
        assert found["counts_in_card"] == found["rows"], config
        assert found["same_rows"], config
        assert found["same_features"], config
    assert said["default_columns"] == SFT_SCHEMA.names
    for config, loss in said["losses"].items():
        assert math.isfinite(loss), config
        assert loss > 0, config
