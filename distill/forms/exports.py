"""The form that asks for an export."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from distill.logic.sft_configs import CONFIGS, MAIN, chosen_configs
from distill.models import Dataset, Export
from distill.queries.snapshot import base_content

BESIDE = [name for name in CONFIGS if name != MAIN]


class ExportForm(forms.Form):
    """Which dataset, and which of its completions."""

    dataset = forms.ModelChoiceField(
        Dataset.objects.order_by("name"),
        to_field_name="name",
        empty_label="Choose a dataset",
    )
    policy = forms.ChoiceField(
        label="Take what was",
        choices=Export.Policy.choices,
        initial=Export.Policy.REVIEWED,
        required=False,
    )

    configs = forms.MultipleChoiceField(
        label="Write",
        choices=[(name, name.replace("_", " ")) for name in BESIDE],
        initial=BESIDE,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Beside the chats (messages), which are always written. Prompt completion and "
        "alpaca each take about as much room again.",
    )

    rows_per_shard = forms.IntegerField(
        min_value=1, max_value=10_000_000, required=False, widget=forms.HiddenInput
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        # Nothing ticked is sent as nothing; a hidden field says that the boxes were there.
        if data is not None and "chose_configs" not in data:
            data = data.copy()
            data.setlist("configs", _of_recipe(data.get("dataset", "")))
        super().__init__(data)

    def clean_configs(self) -> tuple[str, ...]:
        """The chosen ones, with `messages`; the recipe's where the boxes were not there."""
        return chosen_configs([MAIN, *self.cleaned_data["configs"]])

    def clean_policy(self) -> str:
        """Without a choice, only what people accepted."""
        policy: str = self.cleaned_data["policy"]
        return policy or Export.Policy.REVIEWED


def _of_recipe(name: str) -> list[str]:
    """What the recipe of the dataset's latest run writes beside `messages`."""
    dataset = Dataset.objects.filter(name=name).first()
    wanted = base_content(dataset).export.configs if dataset else ()
    return [config for config in chosen_configs(wanted) if config != MAIN]
