"""The page on which people make and revoke their tokens."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from distill.http import AuthedRequest, require_role
from distill.logic.errors import InputError
from nexa_site.forms import RevokeTokenForm, TokenForm
from nexa_site.models import ApiToken
from nexa_site.services.create_token import create_token
from nexa_site.services.revoke_token import revoke_token


@require_role()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def api_tokens(request: AuthedRequest) -> HttpResponse:
    """One's tokens, and a new one by POST, whose text this answer alone shows."""
    if request.method != "POST":
        return _page(request, TokenForm())
    form = TokenForm(request.POST)
    if form.is_valid():
        try:
            _, text = create_token(user=request.user, **form.cleaned_data)
        except InputError as error:
            form.add_error(None, str(error))
        else:
            return _page(request, TokenForm(), new_token=text)
    return _page(request, form, status=422)


@require_role()
@require_POST
def revoke_api_token(request: AuthedRequest) -> HttpResponse:
    """End one of one's tokens. Twice is harmless."""
    form = RevokeTokenForm(request.POST)
    if form.is_valid() and revoke_token(
        user=request.user, token_key=form.cleaned_data["token_key"]
    ):
        messages.success(request, "The token is revoked: nothing can use it any more.")
    else:
        messages.info(request, "Nothing was changed: there is no such token of yours any more.")
    return redirect("api_tokens")


def _page(
    request: AuthedRequest, form: TokenForm, *, new_token: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "new_token": new_token,
        "tokens": ApiToken.objects.filter(user=request.user),
        "now": timezone.now(),
        "root": request.build_absolute_uri("/api/v1/"),
    }
    return render(request, "nexa_site/api_tokens.html", context, status=status)
