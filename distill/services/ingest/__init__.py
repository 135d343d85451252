"""From files to samples: preview, import, and the datasets that hold them."""

from __future__ import annotations

from distill.services.ingest.datasets import create_dataset, dataset_for_file
from distill.services.ingest.preview import Preview, Problem, preview_file
from distill.services.ingest.run import fill_source_file, import_file, open_source_file

__all__ = [
    "Preview",
    "Problem",
    "create_dataset",
    "dataset_for_file",
    "fill_source_file",
    "import_file",
    "open_source_file",
    "preview_file",
]
