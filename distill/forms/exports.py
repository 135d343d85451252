"""The form that asks for an export."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from distill.logic.sft_configs import CONFIGS, MAIN, chosen_configs
from distill.models import Dataset, Export
from distill.services.sft_files import ROWS_PER_SHARD

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
            data.setlist("configs", BESIDE)
        super().__init__(data)

    def clean_configs(self) -> tuple[str, ...]:
        """The chosen ones, with `messages`; all where the boxes were not there."""
        return chosen_configs([MAIN, *self.cleaned_data["configs"]])

    def clean_rows_per_shard(self) -> int:
        """As many as an earlier export had, so that the same one is written again."""
        num_rows: int | None = self.cleaned_data["rows_per_shard"]
        return num_rows or ROWS_PER_SHARD

    def clean_policy(self) -> str:
        """Without a choice, only what people accepted."""
        policy: str = self.cleaned_data["policy"]
        return policy or Export.Policy.REVIEWED
