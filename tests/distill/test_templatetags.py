from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, Group, User
from django.http import HttpResponse
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import include, path

from distill.logic.reasons import Reason
from distill.templatetags import nexa, nexa_charts, nexa_forms

NOW = datetime(2026, 8, 24, 12, 0, tzinfo=UTC)


def _view(request: Any) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("", _view, name="home"),
    path("api/tokens/", _view, name="api_tokens"),
    path("", include(([path("runs/", _view, name="runs")], "distill"))),
    path("", include(([path("review/", _view, name="queues")], "review"))),
    path("", include(([path("admin/", _view, name="index")], "admin"))),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (1500.0, "1,500"), (0.8125, "0.812"), (None, "–")],
)
def test_thousands(value: float | None, text: str):
    assert nexa.thousands(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 %"),
        (0.0002, "< 0.1 %"),
        (0.4213, "42.1 %"),
        (0.9999, "> 99.9 %"),
        (1, "100 %"),
        (None, "–"),
    ],
)
def test_percent_never_rounds_to_nothing_or_to_all(value: float | None, text: str):
    assert nexa.percent(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(3, 4, "75.0 %"), (3, 0, "–"), (None, 4, "–"), (3, None, "–")]
)
def test_share(part: int | None, whole: int | None, text: str):
    assert nexa.share(part, whole) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "unpriced"),
        (0, "$0.00"),
        (4_000, "< $0.0001"),
        (4_200_000, "$0.0042"),
        (1_234_560_000_000, "$1,234.56"),
        (-12_340_000_000, "−$12.34"),
    ],
)
def test_money(nano: int | None, text: str):
    assert nexa.money(nano) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.085, "85 ms"),
        (1.25, "1.2 s"),
        (2.0, "2 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (timedelta(minutes=3, seconds=12), "3 min 12 s"),
        (3600 * 4 + 60 * 5, "4 h 05 min"),
        (86_400 * 2 + 3600 * 3, "2 d 3 h"),
    ],
)
def test_duration(value: float | timedelta | None, text: str):
    assert nexa.duration(value) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(minutes=-4), "in 4 min"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(days=9), "2026-08-15"),
    ],
)
def test_relative_time(before: timedelta, text: str):
    assert nexa.relative_time(NOW - before, now=NOW) == text


def test_ago_keeps_the_absolute_time():
    html = nexa.ago(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert 'title="2026-01-02 03:04:05 UTC"' in html
    assert 'datetime="2026-01-02T03:04:05+00:00"' in html
    assert nexa.ago(None) == "–"


def test_score_and_words():
    assert nexa.score(0.8125) == "0.81"
    assert nexa.score(None) == "–"
    assert nexa.reason_label(Reason.TOO_SHORT) == "Too short"
    assert nexa.reason_label("not_one_of_ours") == "Not one of ours"
    assert [nexa.tone(state) for state in ("passed", "failed", "queued")] == ["ok", "bad", "idle"]


# --- navigation ---


def places(user: Any, at: str = "/") -> list[tuple[str, str]]:
    request = RequestFactory().get(at)
    request.user = user
    return [(item.label, item.current) for item in nexa.nav({"request": request})]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("group", "is_staff", "labels"),
    [
        ("reviewer", False, ["Dashboard", "Review"]),
        ("operator", False, ["Dashboard", "Review", "Runs"]),
        ("lead", True, ["Dashboard", "Review", "Runs", "Admin"]),
        ("admin", True, ["Dashboard", "Review", "Runs", "Admin"]),
        ("stranger", False, []),
    ],
)
def test_the_navigation_shows_what_exists_and_may_be_seen(
    group: str, is_staff: bool, labels: list[str]
):
    user = User.objects.create_user("ada", is_staff=is_staff)
    user.groups.add(Group.objects.get_or_create(name=group)[0])

    assert [label for label, _ in places(user)] == labels


@pytest.mark.django_db
def test_the_menu_says_what_one_is_here():
    user = User.objects.create_user("ada")
    assert nexa.role_titles(user) == "No role yet"

    user = User.objects.create_user("bob")
    user.groups.set(Group.objects.get_or_create(name=name)[0] for name in ("operator", "lead"))
    assert nexa.role_titles(user) == "Lead, operator"
    assert nexa.role_titles(User(is_superuser=True)) == "Superuser"


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_navigation_marks_where_one_is():
    user = User(username="root", is_superuser=True)

    assert dict(places(user, at="/runs/")) == {"Dashboard": "", "Review": "", "Runs": "page"}
    assert dict(places(user, at="/runs/7/"))["Runs"] == "true"
    assert dict(places(user, at="/"))["Dashboard"] == "page"


def test_nobody_sees_no_navigation():
    assert places(AnonymousUser()) == []
    assert nexa.nav({}) == []


# --- charts ---


def test_bars_are_drawn_against_the_longest_and_counted_against_the_sum():
    rows = nexa_charts.bar_rows([("a", 30, None), ("b", 10, "/b"), ("c", 0, None)])

    assert [(row.width, row.share) for row in rows] == [
        ("100.00%", 0.75),
        ("33.33%", 0.25),
        ("0.00%", 0),
    ]


def test_histogram_bars_stand_on_the_ground():
    bars = nexa_charts.histogram_bars([(0, 10, 4), (10, 20, 1)])

    assert [(bar.y, bar.height) for bar in bars] == [("0.00%", "100.00%"), ("75.00%", "25.00%")]


def test_a_last_bin_that_collects_the_rest_is_called_so():
    plain = {"bins": [(0, 10, 4), (10, 20, 1)], "caption": "Lengths"}
    collecting = plain | {"bins": [(0, 10, 4), (10, 9000, 1)]}
    assert "and more" not in render_to_string("components/histogram.html", plain)
    shown = render_to_string("components/histogram.html", collecting)
    assert "<span>10 and more</span>" in shown
    assert "<title>10 and more: 1 </title>" in shown
    assert "9,000 (the largest)" in shown
    assert not nexa_charts.histogram_bars([(0, 9000, 4)])[0].is_open


class _Fields(forms.Form):
    conditional_fields = ("name",)

    needed = forms.CharField()
    note = forms.CharField(required=False)
    name = forms.CharField(required=False)
    choice = forms.ChoiceField(choices=[("", "Any"), ("a", "A")], required=False)


def test_optional_is_said_only_of_what_may_be_left_empty():
    form = _Fields()
    assert [name for name in form.fields if nexa_forms.is_optional(form[name])] == ["note"]
    shown = {
        name: "optional" in render_to_string("components/field.html", {"field": form[name]})
        for name in form.fields
    }
    assert shown == {"needed": False, "note": True, "name": False, "choice": False}


def test_segments_follow_each_other():
    parts = nexa_charts.segment_parts([("a", 1, "ok", None), ("b", 3, "bad", None)])

    assert [(part.x, part.width) for part in parts] == [("0.00%", "25.00%"), ("25.00%", "75.00%")]


def test_waterfall_steps_say_what_was_lost_since_the_step_before():
    steps = nexa_charts.waterfall_steps(
        [
            ("in", 10, None, []),
            ("answered", 8, "/a", [("timed out", 2, "/t")]),
            ("grew", 9, None, []),
        ]
    )

    assert [(step.lost, step.share) for step in steps] == [(0, 1), (2, 0.8), (0, 0.9)]
    assert steps[1].losses[0].label == "timed out"


@pytest.mark.parametrize(
    "draw",
    [
        nexa_charts.bar_rows,
        nexa_charts.histogram_bars,
        nexa_charts.segment_parts,
        nexa_charts.waterfall_steps,
    ],
)
def test_nothing_can_be_drawn(draw: Any):
    assert draw([]) == []


def test_zeros_can_be_drawn():
    assert nexa_charts.bar_rows([("a", 0, None)])[0].width == "0%"
    assert nexa_charts.histogram_bars([(0, 1, 0)])[0].height == "0%"
    assert nexa_charts.segment_parts([("a", 0, "ok", None)])[0].share == 0
    assert nexa_charts.waterfall_steps([("in", 0, None, [])])[0].share == 0


# --- components ---

HOSTILE = "<script>alert(1)</script>\"'>"
COMPONENTS: dict[str, dict[str, Any]] = {
    "badge": {"state": HOSTILE, "label": HOSTILE},
    "bars": {"bars": [(HOSTILE, 1, HOSTILE)], "caption": HOSTILE},
    "confirm": {"id": HOSTILE, "action": HOSTILE, "button": HOSTILE, "title": HOSTILE},
    "empty_state": {"title": HOSTILE, "text": HOSTILE, "href": HOSTILE, "action": HOSTILE},
    "histogram": {"bins": [(0, 1, 2)], "caption": HOSTILE, "unit": HOSTILE},
    "log": {"lines": [{"level": HOSTILE, "message": HOSTILE}], "label": HOSTILE},
    "progress": {"done": 1, "total": 3, "label": HOSTILE},
    "segments": {"segments": [(HOSTILE, 1, HOSTILE, HOSTILE)], "caption": HOSTILE},
    "stat": {"value": HOSTILE, "label": HOSTILE, "href": HOSTILE},
    "waterfall": {"steps": [(HOSTILE, 1, HOSTILE, [(HOSTILE, 1, HOSTILE)])], "caption": HOSTILE},
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_show_text_as_text_and_need_no_inline_style(name: str):
    html = render_to_string(f"components/{name}.html", COMPONENTS[name])

    assert "<script" not in html
    assert "style=" not in html


def test_an_icon_is_decoration():
    html = Template("{% load nexa %}{% icon 'runs' %}").render(Context())

    assert 'aria-hidden="true"' in html
    assert "icons.svg#runs" in html


# --- the pages that belong to no room ---


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    "template",
    [
        "registration/login.html",
        "registration/logged_out.html",
        "registration/password_change_form.html",
        "registration/password_change_done.html",
        "403.html",
        "403_csrf.html",
        "404.html",
        "500.html",
    ],
)
@pytest.mark.parametrize("user", [AnonymousUser(), User(username="root", is_superuser=True)])
def test_pages_obey_the_content_security_policy(template: str, user: User | AnonymousUser):
    request = RequestFactory().get("/")
    request.user = user

    html = render_to_string(template, {"form": None}, request=request)

    assert (
        re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:|data:", html) == []
    )
    assert html.count("<h1") == 1


def test_the_500_page_needs_nothing():
    assert "<h1" in render_to_string("500.html")
