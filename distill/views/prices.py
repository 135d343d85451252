"""Prices: what models cost, every version of it, a change, the shipped table again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from distill.forms.prices import PricesForm
from distill.http import AuthedRequest, has_role, require_role
from distill.logic.errors import DistillError
from distill.logic.price_table import PriceTable, dump_price_table
from distill.models import PriceList
from distill.queries.prices import (
    current_table,
    newest_price_list,
    price_lists,
    price_page,
    shipped_table,
)
from distill.services.price_lists import RESTORED_NOTE, current_price_list, save_price_list


@require_role("lead", "operator")
@require_safe
def prices(request: AuthedRequest) -> HttpResponse:
    """The prices of new runs, or those of an older version (`?version=…`) and what it changed."""
    asked = request.GET.get("version", "")
    wanted = int(asked) if asked.isdecimal() and len(asked) <= 9 else None
    shown = get_object_or_404(price_lists(), pk=wanted) if wanted else newest_price_list()
    context = {"may_edit": has_role(request.user, "operator"), "prices": price_page(shown)}
    return render(request, "distill/prices.html", context)


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def edit_prices(request: AuthedRequest) -> HttpResponse:
    """Write the table anew: saving makes a version that goes with new runs."""
    if request.method != "POST":
        newest = newest_price_list()
        initial = {
            "document": dump_price_table(current_table()),
            "based_on": newest.pk if newest else None,
        }
        return render(request, "distill/prices_edit.html", {"form": PricesForm(initial=initial)})
    form = PricesForm(request.POST)
    if form.is_valid():
        try:
            _save(
                request,
                form.table,
                note=form.cleaned_data["note"],
                pk=form.cleaned_data["based_on"],
            )
        except DistillError as error:
            form.add_error(None, str(error))
        else:
            return redirect("distill:prices")
    return render(request, "distill/prices_edit.html", {"form": form}, status=422)


@require_role("operator")
@require_POST
def restore_prices(request: AuthedRequest) -> HttpResponse:
    """Make the shipped table current again. Asking twice changes nothing."""
    _save(request, shipped_table(), note=RESTORED_NOTE, pk=None)
    return redirect("distill:prices")


def _save(request: AuthedRequest, table: PriceTable, *, note: str, pk: int | None) -> None:
    newest = current_price_list()
    based_on = PriceList.objects.filter(pk=pk or 0).first() or newest
    saved = save_price_list(table=table, based_on=based_on, note=note, user=request.user)
    if saved == newest:
        messages.info(request, "Nothing new: these are the prices already.")
    else:
        messages.success(request, f"Saved as {saved}; new runs reckon with it.")
