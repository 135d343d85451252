"""The rules of a dataset's gate: what each says, and what it hits and almost hits here."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from distill.forms.completions import read_after
from distill.http import AuthedRequest, require_role
from distill.models import Dataset
from distill.queries.rules_page import RULES_BY_CODE, rule_page, rule_rows
from distill.queries.snapshot import base_content, load_snapshot


@require_role("lead", "operator")
@require_safe
def rules(request: AuthedRequest, pk: int) -> HttpResponse:
    """All rules, with their settings in the recipe of the latest run."""
    dataset = get_object_or_404(Dataset, pk=pk)
    snapshot = load_snapshot(dataset)
    total, rows = rule_rows(snapshot, base_content(dataset).rules)
    context = {"dataset": dataset, "snapshot": snapshot, "total": total, "rows": rows}
    return render(request, "distill/rules.html", context)


@require_role("lead", "operator")
@require_safe
def rule(request: AuthedRequest, pk: int, code: str) -> HttpResponse:
    """What one rule hits, or with `show=near` almost hits."""
    dataset = get_object_or_404(Dataset, pk=pk)
    found = RULES_BY_CODE.get(code)
    if found is None:
        raise Http404("There is no such rule.")
    snapshot, base = load_snapshot(dataset), base_content(dataset)
    is_near = request.GET.get("show") == "near"
    number = min(read_after(request.GET.get("page")) or 1, 1_000_000)
    context = {
        "dataset": dataset,
        "rule": found,
        "is_on": base.rules.is_on(found.code),
        "is_near": is_near,
        "page": snapshot and rule_page(snapshot, found, base, is_near=is_near, number=number),
    }
    return render(request, "distill/rule.html", context)
