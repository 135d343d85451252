"""The list of queues, and the page of one of them."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from distill.http import AuthedRequest, has_role, require_role
from review.models import Queue
from review.queries.agreement import queue_agreement
from review.queries.queues import queue_lines, queue_overview
from review.services.follow import open_missing_queues
from review.views.today import midnight


@never_cache
@require_safe
@require_role("reviewer", "lead", "operator")
def queues(request: AuthedRequest) -> HttpResponse:
    """Every queue: what it takes, how far it is, what needs somebody."""
    # Nobody should wait for the minute in which the task looks.
    open_missing_queues()
    context = {
        "lines": queue_lines(reviewer=request.user, midnight=midnight(), with_closed=True),
        **_rights(request),
    }
    return render(request, "review/queues.html", context)


@never_cache
@require_safe
@require_role("reviewer", "lead", "operator")
def about_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """One queue: what it takes, its guidelines, on what people disagree."""
    queue = get_object_or_404(Queue.objects.select_related("dataset", "created_by"), pk=queue_id)
    rights = _rights(request)
    overview = queue_overview(
        queue,
        reader=request.user,
        midnight=midnight(),
        with_disagreements=rights["may_see_people"],
    )
    agreement = queue_agreement(queue) if rights["may_see_people"] else None
    context = {"overview": overview, "agreement": agreement, **rights}
    return render(request, "review/about_queue.html", context)


def _rights(request: AuthedRequest) -> dict[str, bool]:
    return {
        "may_review": has_role(request.user, "reviewer", "lead"),
        "may_lead": has_role(request.user, "lead"),
        # Who decided what is not for those who are to decide blind.
        "may_see_people": has_role(request.user, "lead", "operator"),
    }
