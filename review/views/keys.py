"""The settings of one's keys."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from distill.http import AuthedRequest, require_role
from distill.logic.errors import InputError
from review.logic.keys import ALLOWED, KEYS, PAIR_KEYS, REASON_KEYS
from review.queries.own_keys import own_keys
from review.services.save_keys import save_keys

_ONLY_PAIRS = [key for key in PAIR_KEYS if key not in KEYS]


@require_role("reviewer", "lead")
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: AuthedRequest) -> HttpResponse:
    """Each action with its key, all of them to change or to switch off."""
    mine = own_keys(request.user)
    chosen: dict[str, str] = {
        key.action: key.key for key in (*own_keys(request.user, is_pairwise=True).keys, *mine.keys)
    }
    are_on, problem, status = mine.are_on, "", 200
    if request.method == "POST":
        if "usual" in request.POST:
            save_keys(reviewer=request.user, keys={}, is_on=True)
            messages.success(request, "The usual keys are back.")
            return redirect("review:keys")
        chosen = {action: request.POST.get(f"key.{action}", chosen[action]) for action in chosen}
        are_on = "is_on" in request.POST
        try:
            save_keys(reviewer=request.user, keys=chosen, is_on=are_on)
        except InputError as error:
            problem, status = str(error), 422
        else:
            messages.success(request, "Saved: the keys are as you set them.")
            return redirect("review:keys")
    context = {
        "lines": [(key, chosen[key.action]) for key in KEYS],
        "pair_lines": [(key, chosen[key.action]) for key in _ONLY_PAIRS],
        "allowed": ALLOWED,
        "are_on": are_on,
        "problem": problem,
        "reason_keys": REASON_KEYS,
    }
    return render(request, "review/keys.html", context, status=status)
