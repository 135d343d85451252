"""The forms that take a recipe as YAML, typed or as a file, and the guide's config files."""

from __future__ import annotations

from typing import Any

from django import forms

from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.guide_configs import GuideImport, import_guide_configs
from distill.logic.recipe import Recipe, load_recipe


def _pasted(label: str) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"})
    return forms.CharField(
        label=label, required=False, strip=False, widget=widget, max_length=MAX_CHARS
    )


def _uploaded() -> forms.FileField:
    return forms.FileField(label="Or the file", required=False)


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


class GuideForm(forms.Form):
    """The guide's files, pasted or uploaded, the upload winning; `found` is what they make."""

    conditional_fields = (
        *("distill_config", "distill_config_file", "filters", "filters_file"),
        *("teacher_gen", "teacher_gen_file"),
    )

    name = forms.SlugField(
        label="Name of the recipe", max_length=100, allow_unicode=True, initial="guide"
    )
    distill_config = _pasted("distill_config.yaml")
    distill_config_file = _uploaded()
    filters = _pasted("filters.yaml")
    filters_file = _uploaded()
    teacher_gen = _pasted("teacher_gen_v1.yaml or teacher_models.yaml")
    teacher_gen_file = _uploaded()
    found: GuideImport

    def clean(self) -> dict[str, Any]:
        """Make the recipe; what is wrong names its file, line and key."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        texts: dict[str, str] = {}
        try:
            for key in ("distill_config", "filters", "teacher_gen"):
                upload = cleaned.get(f"{key}_file")
                texts[key] = _read(upload) if upload else cleaned[key]
            self.found = import_guide_configs(name=cleaned["name"], **texts)
        except InputError as error:
            self.add_error(None, str(error).splitlines())
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
