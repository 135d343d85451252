"""What may be said when a student is evaluated; all of it may be left out."""

from __future__ import annotations

from django import forms

from distill.models import Recipe
from training.services.start_evaluation import MOST_SAMPLES, SAMPLE_LIMIT

LISTS = [("", "All samples"), ("differ", "Where they differ"), ("failed", "The student failed")]


class StartEvaluationForm(forms.Form):
    """How many samples, and under which recipe; without one, that of the student's rows."""

    sample_limit = forms.IntegerField(required=False, min_value=1, max_value=MOST_SAMPLES)
    recipe = forms.ModelChoiceField(Recipe.objects.all(), required=False)

    def clean_sample_limit(self) -> int:
        return self.cleaned_data["sample_limit"] or SAMPLE_LIMIT


class ComparisonForm(forms.Form):
    """Which samples to show side by side, and from where."""

    only = forms.ChoiceField(label="Show", required=False, choices=LISTS)
    start = forms.IntegerField(required=False, min_value=0, max_value=MOST_SAMPLES)
