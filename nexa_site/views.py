"""Pages of the site itself."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from distill.http import (
    AuthedRequest,
    HttpResponseStopPolling,
    has_role,
    render_partial,
    require_role,
    role_names,
)
from distill.logic.errors import InputError
from nexa_site import queries
from nexa_site.logic.policy_reports import BATCH, MAX_BYTES, ONE, read_reports
from nexa_site.services.note_violations import note_violations
from review.services.follow import open_missing_queues

_COUNTS_SECONDS = 10
STOP_POLLING = HttpResponseStopPolling.status_code


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether web and database answer: 200 when both do, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"web": "ok", "database": "no answer"}, status=503)
    return JsonResponse({"web": "ok", "database": "ok"})


@csrf_exempt
@login_not_required
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Take a browser's report of what the content security policy stopped; no login, no token."""
    if request.content_type not in (ONE, BATCH):
        return HttpResponse(f"Send {ONE} or {BATCH}.", status=415, content_type="text/plain")
    body = request.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        message = f"A report may have {MAX_BYTES:,} bytes."
        return HttpResponse(message, status=413, content_type="text/plain")
    try:
        violations = read_reports(body, content_type=request.content_type)
    except InputError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    note_violations(violations, now=timezone.now())
    return HttpResponse(status=204)


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for a request that cannot be read.

    Django's own looks for the form's token in that very request, and fails a second time.
    """
    return HttpResponseBadRequest(render_to_string("400.html"))


@require_role()
@never_cache
@require_safe
def home(request: AuthedRequest) -> HttpResponse:
    """The dashboard: what needs me, what is going on, how much there is."""
    sees_runs = has_role(request.user, "lead", "operator")
    runs = queries.active_runs() if sees_runs else []
    trainings = queries.active_trainings() if sees_runs else []
    evaluations = queries.active_evaluations() if sees_runs else []
    is_busy = bool(runs or trainings or evaluations)
    context: dict[str, object] = {
        "runs": runs,
        "trainings": trainings,
        "evaluations": evaluations,
        "is_busy": is_busy,
        "sees_runs": sees_runs,
        "may_start": has_role(request.user, "operator"),
    }
    if request.htmx and request.htmx.target == "home-runs":
        status = None if is_busy else STOP_POLLING
        return render_partial(
            request, "nexa_site/home.html", context, partial="home-runs", status=status
        )
    # What has just passed waits for somebody now, not in a minute.
    open_missing_queues()
    context |= {
        "needs": queries.needs_of(request.user, now=timezone.now()),
        "steps": queries.first_steps(),
        "has_a_role": bool(role_names(request.user)) or request.user.is_superuser,
    }
    if sees_runs:
        # Counting everything takes a while on a large site; ten seconds old is good enough here.
        counts = cache.get_or_set("status_counts", queries.status_counts, _COUNTS_SECONDS)
        context |= {
            "counts": counts,
            "exports": queries.last_exports(),
            "students": queries.last_students(),
        }
    return render_partial(request, "nexa_site/home.html", context, partial="home-runs")
