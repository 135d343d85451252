"""The form that asks for an export."""

from __future__ import annotations

from django import forms

from distill.models import Dataset, Export


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

    def clean_policy(self) -> str:
        """Without a choice, only what people accepted."""
        policy: str = self.cleaned_data["policy"]
        return policy or Export.Policy.REVIEWED
