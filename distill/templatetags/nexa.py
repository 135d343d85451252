"""Filters and tags of every page: numbers, times, money, states, navigation."""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from distill.http import RoleName, has_role, role_names
from distill.logic.prices import usd
from distill.logic.reasons import Reason

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest

register = template.Library()

NOTHING = "–"
"""What stands where there is no value: an en dash, never a zero."""

_NANO = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

Number = int | float | None


# --- numbers ---


@register.filter
def thousands(value: Number) -> str:
    """1234567 → 1,234,567; a fraction keeps three figures: 0.8125 → 0.812"""
    if value is None:
        return NOTHING
    if isinstance(value, int) or float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


@register.filter
def percent(value: Number) -> str:
    """A fraction as a percentage: 0.4213 → 42.1 %"""
    if value is None:
        return NOTHING
    if value in {0, 1}:
        return f"{100 * value:.0f} %"
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %"


@register.filter
def share(part: Number, whole: Number) -> str:
    """What a part is of the whole: 3|share:4 → 75 %"""
    return NOTHING if part is None or not whole else percent(part / whole)


@register.filter
def score(value: Number) -> str:
    """A judge's score: 0.8125 → 0.81"""
    return NOTHING if value is None else f"{value:.2f}"


@register.filter
def money(nano_usd: int | None) -> str:
    """Nano-dollars as dollars: 12_340_000_000 → $12.34. An unknown price is unpriced, never zero."""
    if nano_usd is None:
        return "unpriced"
    sign, dollars = "−" if nano_usd < 0 else "", abs(nano_usd) / _NANO
    if dollars == 0 or dollars >= 1:
        return f"{sign}${dollars:,.2f}"
    if dollars < 0.0001:
        return f"{sign}< $0.0001".strip()
    return f"{sign}${dollars:.4f}"


@register.filter
def dollars(nano_usd: int) -> str:
    """The exact amount as a form field takes it back: 12_340_000_000 → 12.34"""
    return usd(nano_usd).removeprefix("$")


# --- times ---


@register.filter
def duration(value: float | timedelta | None) -> str:
    """Seconds, or a timedelta, in the two units that matter: 3 min 12 s"""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    return _long_duration(round(seconds))


@register.filter
def latency(milliseconds: float | None) -> str:
    """How long replies took, in milliseconds: 1234 → 1.2 s"""
    return duration(None if milliseconds is None else milliseconds / 1000)


def _long_duration(whole: int) -> str:
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


@register.filter
def ago(moment: datetime | None) -> str:
    """A `<time>` that reads "4 min ago" and holds the absolute time in its title."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{timezone.localtime(moment, timezone=timezone.get_default_timezone()):%Y-%m-%d %H:%M:%S}",
        relative_time(moment, now=timezone.now()),
    )


def relative_time(moment: datetime, *, now: datetime) -> str:
    """How long ago, in one unit; a date when that is more than a week."""
    seconds = round((now - moment).total_seconds())
    size = abs(seconds)
    if size < 10:
        return "just now"
    if size >= 7 * _DAY:
        return f"{moment:%Y-%m-%d}"
    if size < _MINUTE:
        text = f"{size} s"
    elif size < _HOUR:
        text = f"{size // _MINUTE} min"
    elif size < _DAY:
        text = f"{size // _HOUR} h"
    else:
        text = f"{size // _DAY} d"
    return f"{text} ago" if seconds > 0 else f"in {text}"


# --- words ---


@register.filter
def reason_label(code: str) -> str:
    """A reason code as people read it; one that is not ours is shown in its own words."""
    try:
        return Reason(code).label
    except ValueError:
        return state_label(code)


@register.filter
def state_label(code: str) -> str:
    """awaiting_review → Awaiting review"""
    return str(code).replace("_", " ").capitalize()


_TONES = {
    "ok": "passed accepted accept done succeeded eligible exported labelled unanimous adjudicated",
    "bad": "rejected reject failed error lost",
    "warn": "flagged flag warning stopping possibly_billed out_of_budget disputed expired",
    "live": "running importing preparing training answering scoring evaluating in_flight",
    "person": "awaiting_review in_review claimed edited edit",
}
_TONE_OF = {state: tone for tone, states in _TONES.items() for state in states.split()}


@register.filter
def tone(state: str) -> str:
    """The colour family of a state: ok, bad, warn, live, person, or idle for every other."""
    return _TONE_OF.get(str(state).lower(), "idle")


# --- pieces ---


@register.simple_tag
def icon(name: str) -> SafeString:
    """A decorative 16-pixel drawing from static/img/icons.svg; the words stand beside it."""
    return format_html(
        '<svg class="icon" width="16" height="16" aria-hidden="true" focusable="false">'
        '<use href="{}#{}"/></svg>',
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
@functools.cache
def version() -> str:
    """The product's version, as installed."""
    try:
        return importlib.metadata.version("nexa-distill")
    except importlib.metadata.PackageNotFoundError:
        return "0"


# --- navigation ---


@dataclass(frozen=True, slots=True)
class Place:
    """A room of the site, and who finds it in the navigation."""

    url_name: str
    label: str
    icon: str
    roles: tuple[RoleName, ...]
    is_for_staff: bool = False


@dataclass(frozen=True, slots=True)
class NavItem:
    label: str
    icon: str
    href: str
    current: str
    """The value of aria-current: "page" here, "true" below here, "" elsewhere."""


PLACES = (
    Place("home", "Dashboard", "dashboard", ("reviewer", "lead", "operator")),
    Place("review:queues", "Review", "review", ("reviewer", "lead", "operator")),
    Place("distill:datasets", "Datasets", "datasets", ("lead", "operator")),
    Place("distill:recipes", "Recipes", "recipes", ("lead", "operator")),
    Place("distill:runs", "Runs", "runs", ("lead", "operator")),
    Place("distill:completions", "Completions", "completions", ("lead", "operator")),
    Place("distill:exports", "Exports", "exports", ("lead", "operator")),
    Place("training:training_runs", "Training", "training", ("lead", "operator")),
    Place("admin:index", "Admin", "admin", (), is_for_staff=True),
)


@register.simple_tag(takes_context=True)
def nav(context: dict[str, Any]) -> list[NavItem]:
    """The places that exist and that the user may see. The views check rights themselves."""
    request: HttpRequest | None = context.get("request")
    if request is None or not hasattr(request, "user"):
        return []
    return [
        NavItem(place.label, place.icon, href, _current(href, path=request.path))
        for place in PLACES
        if _may_see(place, request) and (href := _reverse_or_none(place.url_name))
    ]


def _may_see(place: Place, request: HttpRequest) -> bool:
    if place.is_for_staff:
        return request.user.is_authenticated and request.user.is_active and request.user.is_staff
    return has_role(request.user, *place.roles)


def _reverse_or_none(url_name: str) -> str | None:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return None


def _current(href: str, *, path: str) -> str:
    if path == href:
        return "page"
    return "true" if href != "/" and path.startswith(href) else ""


@register.filter
def may_operate(user: User) -> bool:
    """Whether the user may start things; the views check it themselves."""
    return has_role(user, "operator")


@register.filter
def role_titles(user: User) -> str:
    """What the user is here, for the menu: "Lead, operator"."""
    if user.is_superuser:
        return "Superuser"
    return ", ".join(sorted(role_names(user))).capitalize() or "No role yet"
