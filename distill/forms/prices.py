"""The forms about money: the price list as YAML, a run's budget, what was possibly billed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.price_table import PriceTable, load_price_table

_NANO = 1_000_000_000
_MOST_USD = Decimal(9_000_000)


class PricesForm(forms.Form):
    """The price table as text; `table` is the validated one."""

    document = forms.CharField(
        label="Prices",
        strip=False,
        max_length=MAX_CHARS,
        widget=forms.Textarea(attrs={"rows": 30, "class": "mono", "spellcheck": "false"}),
        help_text="YAML: US dollars per million tokens, by provider:model. A name ending in * "
        "stands for all that begin so; a dated name takes the price of the name without its date. "
        "What stands nowhere is unpriced.",
    )
    note = forms.CharField(
        required=False,
        max_length=200,
        help_text="What was changed and why, for those who look at the history.",
    )
    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)
    table: PriceTable

    def clean(self) -> dict[str, Any]:
        """Validate the table; what is wrong stands at the field with its lines."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            self.table = load_price_table(cleaned["document"])
        except InputError as error:
            self.add_error(
                "document", [line.removeprefix("- ") for line in str(error).splitlines()]
            )
        return cleaned


class BudgetForm(forms.Form):
    """Another budget for a run."""

    budget = forms.DecimalField(
        label="Budget in US dollars", min_value=Decimal("0.000001"), max_value=_MOST_USD
    )

    @property
    def budget_nano(self) -> int:
        return int(self.cleaned_data["budget"] * _NANO)


class SettleForm(forms.Form):
    """What the provider billed for requests whose replies never came."""

    billed = forms.ChoiceField(
        label="The provider billed",
        widget=forms.RadioSelect,
        choices=[
            ("nothing", "nothing for them"),
            ("in_full", "all of them, each at its upper bound"),
            ("amount", "this amount for all of them together:"),
        ],
    )
    amount = forms.DecimalField(
        label="Amount in US dollars", required=False, min_value=Decimal(0), max_value=_MOST_USD
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("billed") == "amount" and cleaned.get("amount") is None:
            self.add_error("amount", "Write the amount that was billed.")
        return cleaned

    @property
    def amount_nano(self) -> int | None:
        """As `settle_lost` takes it: None for all in full."""
        billed = self.cleaned_data["billed"]
        if billed == "amount":
            return int(self.cleaned_data["amount"] * _NANO)
        return None if billed == "in_full" else 0
