"""Labels out and in: what people decided, as files that need no second one."""

from __future__ import annotations

from distill.services.labels.export_labels import LabelFile, export_labels, labels_folder
from distill.services.labels.import_labels import ImportedLabels, import_labels

__all__ = ["ImportedLabels", "LabelFile", "export_labels", "import_labels", "labels_folder"]
