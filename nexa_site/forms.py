"""The forms of the site's own pages."""

from __future__ import annotations

from django import forms


class TokenForm(forms.Form):
    """A new token for the API."""

    name = forms.CharField(max_length=100, help_text="Which program it is for.")
    days = forms.TypedChoiceField(
        label="Ends after",
        coerce=int,
        choices=[(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")],
        initial=30,
        help_text="It stops working then, or when you revoke it.",
    )


class RevokeTokenForm(forms.Form):
    """Which token ends."""

    token_key = forms.CharField(max_length=25)
