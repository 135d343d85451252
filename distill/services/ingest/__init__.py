"""From files to samples: preview, import, and the datasets that hold them."""

from __future__ import annotations

from distill.services.ingest.datasets import create_dataset, dataset_for_file
from distill.services.ingest.prepare import Prepared, prepare_inputs
from distill.services.ingest.preview import Preview, Problem, preview_file
from distill.services.ingest.run import fill_source_file, import_file, open_source_file
from distill.services.ingest.uploads import discard_upload, save_upload, upload_path

__all__ = [
    "Prepared",
    "Preview",
    "Problem",
    "create_dataset",
    "dataset_for_file",
    "discard_upload",
    "fill_source_file",
    "import_file",
    "open_source_file",
    "prepare_inputs",
    "preview_file",
    "save_upload",
    "upload_path",
]
