"""The content security policy on every response."""

from __future__ import annotations

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class PolicyMiddleware(CSPMiddleware):
    """Sends one policy with every response, without exception.

    The library leaves it out of Django's own error pages while DEBUG is on; then what breaks
    under the policy would be seen in production alone.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response = super().process_response(request, response)
        response.headers[HEADER] = build_policy()
        return response
