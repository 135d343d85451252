"""One's older decisions, looked at from the card: nothing here changes them."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from distill.http import AuthedRequest, require_role
from review.logic.panes import panes
from review.models import Queue
from review.queries.history import decision_before

_FARTHEST = 20


@never_cache
@require_safe
@require_role("reviewer", "lead")
def past(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """The person's decision so many (`back`) before the card on screen, read-only."""
    get_object_or_404(Queue, pk=queue_id)
    back = request.GET.get("back", "1")
    number = int(back) if back.isascii() and back.isdigit() and len(back) < 3 else 0
    if not 1 <= number <= _FARTHEST:
        raise Http404("The last twenty can be looked at.")
    decision = decision_before(queue_id=queue_id, reviewer=request.user, back=number)
    if decision is None:
        raise Http404("There is no older decision.")
    if not request.htmx:
        return redirect("review:queue", queue_id)
    completion = decision.completion
    words = decision.fields or completion.fields
    context = {"decision": decision, "panes": panes(words, text=completion.text)}
    return render(request, "review/past.html", context)
