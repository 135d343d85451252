"""A reviewer's own page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from distill.forms.completions import read_after
from distill.http import AuthedRequest, require_role
from review.queries.mine import read_mine
from review.views.today import midnight


@never_cache
@require_safe
@require_role("reviewer", "lead")
def mine(request: AuthedRequest) -> HttpResponse:
    """Today, pace, disagreements, what one's decisions changed, and a history to search."""
    query = request.GET.get("q", "")[:200].strip()
    after = read_after(request.GET.get("after"))
    page = read_mine(request.user, midnight=midnight(), query=query, after=after)
    return render(request, "review/mine.html", {"page": page, "query": query})
