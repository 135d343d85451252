"""What every view of the site shares: typed requests, fragments, roles, keyset pages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, Generic, Literal, ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.db.models import QuerySet
    from django_htmx.middleware import HtmxDetails

RoleName = Literal["reviewer", "lead", "operator", "admin"]
ROLE_NAMES: tuple[RoleName, ...] = ("reviewer", "lead", "operator", "admin")
"""The names of the Django groups; a superuser and a member of `admin` may do everything."""

_MAX_ID = 2**63 - 1

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
R = TypeVar("R", bound=HttpResponseBase)


class HtmxRequest(HttpRequest):
    """A request as django-htmx's middleware leaves it."""

    htmx: HtmxDetails


class AuthedRequest(HtmxRequest):
    """A request behind `require_role` or `login_required`."""

    user: User


class HttpResponseConflict(HttpResponse):
    """Somebody was first; nothing was changed."""

    status_code = 409


class HttpResponseStopPolling(HttpResponse):
    """The last fragment of an element with `hx-trigger="every …"`."""

    status_code = 286


# --- fragments ---


def render_partial(
    request: HttpRequest,
    template: str,
    context: Mapping[str, object] | None = None,
    *,
    partial: str | tuple[str, ...],
    status: int | None = None,
) -> HttpResponse:
    """Render the page, or only the `{% partialdef %}` that htmx wants to swap.

    A partial's name is the id of its element: it is taken when HX-Target names it. Whoever calls
    without htmx, or goes back in history, gets the whole page.
    """
    names = (partial,) if isinstance(partial, str) else partial
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    if htmx and not htmx.history_restore_request and htmx.target in names:
        template = f"{template}#{htmx.target}"
    response = render(request, template, dict(context or {}), status=status)
    patch_vary_headers(response, ("HX-Request", "HX-Target"))
    return response


# --- roles ---


def role_names(user: User | AnonymousUser) -> frozenset[str]:
    """The user's groups, asked of the database once for each user object."""
    if not user.is_authenticated:
        return frozenset()
    known: frozenset[str] | None = vars(user).get("role_names")
    if known is None:
        known = frozenset(user.groups.values_list("name", flat=True))
        vars(user)["role_names"] = known
    return known


def has_role(user: User | AnonymousUser, *roles: RoleName) -> bool:
    """Whether one of the roles is the user's."""
    if not (user.is_authenticated and user.is_active):
        return False
    return user.is_superuser or not role_names(user).isdisjoint((*roles, "admin"))


def require_role(
    *roles: RoleName,
) -> Callable[
    [Callable[Concatenate[AuthedRequest, P], R]],
    Callable[Concatenate[HttpRequest, P], R | HttpResponse],
]:
    """Let in who has one of the roles; without any role named, whoever is logged in.

    Anonymous requests are sent to log in, others get the 403 page.
    """

    def decorate(
        view: Callable[Concatenate[AuthedRequest, P], R],
    ) -> Callable[Concatenate[HttpRequest, P], R | HttpResponse]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R | HttpResponse:
            if not request.user.is_authenticated:
                return login_redirect(request)
            if roles and not has_role(request.user, *roles):
                raise PermissionDenied
            # The two checks above are what makes it one.
            return view(request, *args, **kwargs)  # type: ignore[arg-type]

        return guarded

    return decorate


def login_redirect(request: HttpRequest) -> HttpResponse:
    """Send to the login page, and back here afterwards.

    An htmx request is told to leave its page: a redirect would be followed silently and swap the
    whole login page into a fragment. Back means the page the person sees, not the fragment's URL.
    """
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    if not htmx:
        return redirect_to_login(request.get_full_path())
    seen = htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)
    return HttpResponseClientRedirect(redirect_to_login(seen).url)


class RefuseNulMiddleware:
    """Answers 400 to an address with a NUL character: PostgreSQL takes it in no text.

    Forms refuse it themselves; paths, the admin's filters and its searches do not.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        address = request.path + request.META.get("QUERY_STRING", "")
        if "\0" in address or "%00" in address:
            return HttpResponseBadRequest(
                "The address holds a NUL character.", content_type="text/plain"
            )
        return self.get_response(request)


class HtmxLoginRedirectMiddleware:
    """Does for every other guard (login_required, the admin) what `require_role` does itself.

    Stands after django_htmx.middleware.HtmxMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not getattr(request, "htmx", None) or response.status_code != 302:
            return response
        path = response.headers["Location"].partition("?")[0]
        return login_redirect(request) if path == resolve_url(settings.LOGIN_URL) else response


# --- keyset pages ---


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[M]):
    """Some objects in the order of their ids, and where the next ones begin.

    `next` is the id to ask for as `after`, or None on the last page; `is_first` tells whether
    there is a way back to the beginning.
    """

    rows: list[M]
    next: int | None
    is_first: bool


def keyset_page(
    queryset: QuerySet[M],
    *,
    after: str | int | None = None,
    size: int = 50,
    ascending: bool = False,
) -> KeysetPage[M]:
    """A page without OFFSET and without COUNT: newest first, or oldest first when `ascending`.

    `after` may come straight from the query string: what is no id means the first page.
    """
    start = _as_id(after)
    if start is not None:
        queryset = queryset.filter(pk__gt=start) if ascending else queryset.filter(pk__lt=start)
    found = list(queryset.order_by("pk" if ascending else "-pk")[: size + 1])
    rows = found[:size]
    return KeysetPage(
        rows=rows,
        next=rows[-1].pk if len(found) > size else None,
        is_first=start is None,
    )


def _as_id(value: str | int | None) -> int | None:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MAX_ID)):
        return None
    number = int(text)
    return number if 0 < number <= _MAX_ID else None
