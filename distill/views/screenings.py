"""What an export left out as a copy or as held-out text, with the words that matched."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from distill.http import AuthedRequest, keyset_page, require_role
from distill.logic.reasons import Reason
from distill.models import Dataset
from distill.queries.screenings import (
    count_reasons,
    find_screening,
    findings_of,
    show_finding,
)

PAGE_SIZE = 20


@require_role("lead", "operator")
@require_safe
def screening(request: AuthedRequest, pk: int) -> HttpResponse:
    """The findings of a dataset's newest screening, or of the one of `?screening=`; by reason."""
    dataset = get_object_or_404(Dataset, pk=pk)
    number = request.GET.get("screening", "")
    found = find_screening(dataset, number)
    if found is None and number:
        raise Http404("This dataset has no such screening.")
    context: dict[str, object] = {"dataset": dataset, "screening": found}
    if found is not None:
        reason = request.GET.get("reason", "")
        page = keyset_page(
            findings_of(found, reason), after=request.GET.get("after"), size=PAGE_SIZE
        )
        context |= {
            "counts": count_reasons(found),
            "reason": reason if reason in list(Reason) else "",
            "page": page,
            "findings": [show_finding(finding) for finding in page.rows],
            "exports": found.exports.order_by("-pk")[:3],
        }
    return render(request, "distill/screening.html", context)
