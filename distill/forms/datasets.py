"""The forms of the pages on datasets: upload, mapping, search, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.validators import validate_unicode_slug

from distill.logic.columns import FIELDS, Mapping
from distill.models import Dataset

_LABELS = {
    "text": ("Text", "The passage. Lists of sentences or sections are joined."),
    "labels": ("Section labels", "The names of the sections, where the text is a list of them."),
    "instruction": ("Instruction", "What is asked about the passage."),
    "domain": ("Domain", "The field of science."),
    "template_name": ("Template", "The name of the template to ask with."),
    "title": ("Title", "The document's title."),
    "source_key": ("Source", "The document's id: its samples always share a split."),
    "answer": ("Answer", "An answer that the file brings along; it is imported without a call."),
    "teacher": ("Answered by", "The model that gave the answer."),
    "draw": ("Draw", "Which of several answers to the same question; 0 is the first."),
    "attempt": ("Attempt", ""),
    "finish_reason": ("Finish reason", ""),
    "latency_ms": ("Latency in ms", ""),
    "prompt_tokens": ("Prompt tokens", ""),
    "completion_tokens": ("Completion tokens", ""),
}
FIRST_FIELDS = ("text", "title", "domain", "source_key")


class UploadForm(forms.Form):
    """A file, and the dataset that it goes into: one there is, or a new one."""

    conditional_fields = ("name",)

    file = forms.FileField(
        label="File",
        allow_empty_file=True,
        max_length=1000,
        help_text="Parquet, JSONL, JSON (up to 256 MB), CSV, TSV, or one text. For a folder of "
        "texts use manage.py import_dataset.",
    )
    dataset = forms.ModelChoiceField(
        Dataset.objects.order_by("name"),
        required=False,
        to_field_name="name",
        empty_label="A new one, named below",
        label="Into the dataset",
    )
    name = forms.CharField(
        label="Name of a new dataset",
        required=False,
        max_length=100,
        validators=[validate_unicode_slug],
        error_messages={"invalid": "Use letters, digits, hyphens and underscores, without spaces."},
        help_text="Needed for a new one. Letters, digits, hyphens and underscores; it becomes part "
        "of addresses.",
    )
    description = forms.CharField(
        required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        name = cleaned.get("name")
        if cleaned.get("dataset") is None and not name and "name" not in self.errors:
            self.add_error("name", "Name the new dataset, or choose one that there is.")
        if name and cleaned.get("dataset") is None and Dataset.objects.filter(name=name).exists():
            self.add_error("name", "There is a dataset of this name: choose it above.")
        return cleaned


class MappingForm(forms.Form):
    """A select for each field of a sample, with the paths that the file offers."""

    same_domain = forms.CharField(
        label="Or one domain for all",
        required=False,
        max_length=100,
        help_text="The same for every row, instead of a column.",
    )

    def __init__(self, data: Any, *, columns: Sequence[str], guess: Mapping) -> None:
        initial = {name: guess.get(name) for name in FIELDS}
        if initial["domain"].startswith("="):
            initial |= {"domain": "", "same_domain": initial["domain"][1:]}
        super().__init__(data, initial=initial)
        choices = [("", "not in the file"), *((path, path) for path in columns)]
        for name in FIELDS:
            label, help_text = _LABELS[name]
            self.fields[name] = forms.ChoiceField(
                label=label, choices=choices, required=name == "text", help_text=help_text
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("domain") and cleaned.get("same_domain"):
            self.add_error("same_domain", "Choose a column or write one domain for all, not both.")
        return cleaned

    @property
    def mapping(self) -> Mapping:
        """What is chosen, once the form is valid."""
        paths = {name: self.cleaned_data[name] for name in FIELDS if self.cleaned_data[name]}
        if self.cleaned_data["same_domain"]:
            paths["domain"] = "=" + self.cleaned_data["same_domain"]
        return Mapping(paths)

    @property
    def first_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in (*FIRST_FIELDS, "same_domain")]

    @property
    def has_further(self) -> bool:
        """Whether one of the folded fields is in use."""
        return any(field.value() for field in self.further_fields)

    @property
    def further_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in FIELDS if name not in FIRST_FIELDS]


class SampleSearchForm(forms.Form):
    """A text in a sample or its title."""

    text = forms.CharField(
        label="Text in the sample", required=False, max_length=200, widget=forms.SearchInput
    )


class DeleteDatasetForm(forms.Form):
    """The dataset's name, typed: it cannot be taken back."""

    name = forms.CharField(max_length=100)

    def __init__(self, data: Any, *, dataset: Dataset) -> None:
        super().__init__(data)
        self.dataset = dataset
        self.fields["name"].label = f"Type “{dataset.name}” to delete it"

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.dataset.name:
            raise forms.ValidationError("This is not its name; nothing was deleted.")
        return name
