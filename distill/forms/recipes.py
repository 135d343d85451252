"""The form that takes a recipe as YAML, typed or as a file."""

from __future__ import annotations

from typing import Any

from django import forms

from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.recipe import Recipe, load_recipe


class RecipeForm(forms.Form):
    """A recipe as text or as a file, the file winning; `content` is the validated recipe."""

    conditional_fields = ("document", "file")

    document = forms.CharField(
        label="Recipe",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 30, "class": "mono", "spellcheck": "false"}),
        help_text="YAML. What is left out has its default; its name decides whose version it is.",
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        help_text="A .yaml file; it is taken instead of the text above.",
    )
    content: Recipe

    def clean(self) -> dict[str, Any]:
        """Validate the document; what is wrong stands at the field that it came from."""
        cleaned = super().clean() or {}
        upload = cleaned.get("file")
        if self.errors:
            return cleaned
        try:
            self.content = load_recipe(_read(upload) if upload else _given(cleaned["document"]))
        except InputError as error:
            lines = [line.removeprefix("- ") for line in str(error).splitlines()]
            self.add_error("file" if upload else "document", lines)
        return cleaned


def _given(text: str) -> str:
    if not text.strip():
        raise InputError("Write a recipe here, or choose a file.")
    return text


def _read(upload: Any) -> str:
    if upload.size > 4 * MAX_CHARS:
        raise InputError(f"The file is too large: at most {MAX_CHARS:,} characters.")
    try:
        return bytes(upload.read()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The file is not UTF-8 text (byte {error.start}): save it as UTF-8 and try again."
        ) from error
