from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from distill.http import (
    ROLE_NAMES,
    HtmxLoginRedirectMiddleware,
    HttpResponseConflict,
    HttpResponseStopPolling,
    RoleName,
    has_role,
    keyset_page,
    render_partial,
    require_role,
)

PAGE = "{% load partials %}<h1>Page</h1>{% partialdef rows inline %}<p>{{ word }}</p>{% endpartialdef %}"


def ask(path: str = "/page/", *, user: Any = None, **headers: str) -> HttpRequest:
    request = RequestFactory().get(path, headers=headers)
    request.user = user or AnonymousUser()
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    return request


def htmx(target: str, **headers: str) -> dict[str, str]:
    return {"HX-Request": "true", "HX-Target": target, **headers}


def member(*groups: str, **flags: Any) -> User:
    user = User.objects.create_user(username="-".join(groups) or "nobody", **flags)
    user.groups.set(Group.objects.get_or_create(name=name)[0] for name in groups)
    return user


# --- fragments ---


@pytest.fixture
def page(settings: Any, tmp_path: Any) -> str:
    (tmp_path / "page.html").write_text(PAGE)
    settings.TEMPLATES = [
        {
            **settings.TEMPLATES[0],
            "DIRS": [tmp_path],
        }
    ]
    return "page.html"


@pytest.mark.parametrize(
    ("headers", "is_whole"),
    [
        pytest.param({}, True, id="plain"),
        pytest.param(htmx("rows"), False, id="the partial"),
        pytest.param(htmx("other"), True, id="another target"),
        pytest.param(htmx("rows", **{"HX-History-Restore-Request": "true"}), True, id="history"),
    ],
)
def test_only_the_wanted_fragment_is_rendered(page: str, headers: dict[str, str], is_whole: bool):
    response = render_partial(ask(**headers), page, {"word": "<b>"}, partial="rows")

    assert (b"<h1>" in response.content) is is_whole
    assert b"<p>&lt;b&gt;</p>" in response.content
    assert response["Vary"] == "HX-Request, HX-Target"


def test_a_page_may_have_several_partials_and_a_status(page: str):
    request = ask(**htmx("rows"))

    response = render_partial(request, page, partial=("head", "rows"), status=422)

    assert response.status_code == 422
    assert b"<h1>" not in response.content


def test_named_responses_have_their_status():
    assert HttpResponseConflict().status_code == 409
    assert HttpResponseStopPolling().status_code == 286


# --- roles ---


@require_role("operator", "lead")
def start_run(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"run {number}")


@require_role()
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["operator", "lead", "admin"])
def test_one_of_the_roles_is_enough(role: str):
    assert start_run(ask(user=member(role)), number=7).content == b"run 7"


@pytest.mark.django_db
def test_a_superuser_needs_no_role():
    assert start_run(ask(user=member(is_superuser=True)), 7).content == b"run 7"


@pytest.mark.django_db
@pytest.mark.parametrize("groups", [(), ("reviewer",)])
def test_without_the_role_it_is_forbidden(groups: tuple[str, ...]):
    with pytest.raises(PermissionDenied):
        start_run(ask(user=member(*groups)), 7)


@pytest.mark.django_db
def test_without_named_roles_everybody_who_is_logged_in_may():
    assert home(ask(user=member())).content == b"home"


def test_anonymous_requests_are_sent_to_log_in_and_back():
    response = start_run(ask("/runs/7/?tab=log"), 7)

    assert response.status_code == 302
    assert response["Location"].endswith("/login/?next=/runs/7/%3Ftab%3Dlog")


def test_an_expired_login_moves_the_page_not_the_fragment():
    seen = {"HX-Current-URL": "http://testserver/runs/7/"}

    response = start_run(ask("/runs/7/progress/", **htmx("progress", **seen)), 7)

    assert response.status_code == 200
    assert response["HX-Redirect"].endswith("/login/?next=/runs/7/")


def test_a_foreign_page_is_not_where_the_login_leads_back():
    seen = {"HX-Current-URL": "https://elsewhere.example/runs/7/"}

    response = start_run(ask(**htmx("progress", **seen)), 7)

    assert response["HX-Redirect"].endswith("/login/?next=/")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLE_NAMES)
def test_an_inactive_user_has_no_role(role: RoleName):
    assert not has_role(member(role, is_active=False), role)


@pytest.mark.django_db
def test_roles_are_asked_of_the_database_once(django_assert_num_queries: Any):
    user = member("lead")

    with django_assert_num_queries(1):
        assert has_role(user, "lead")
        assert not has_role(user, "operator")


@pytest.mark.parametrize(
    ("headers", "location", "is_rewritten"),
    [
        (htmx("rows"), "/login/?next=/x/", True),
        (htmx("rows"), "/elsewhere/", False),
        ({}, "/login/?next=/x/", False),
    ],
)
def test_other_guards_are_rewritten_for_htmx(
    headers: dict[str, str], location: str, is_rewritten: bool
):
    guarded = HtmxLoginRedirectMiddleware(lambda request: HttpResponseRedirect(location))

    response = guarded(ask(**headers))

    assert ("HX-Redirect" in response.headers) is is_rewritten
    assert (response.status_code == 302) is not is_rewritten


# --- keyset pages ---


@pytest.fixture
def groups(db: None) -> list[int]:
    Group.objects.all().delete()
    made = [Group.objects.create(name=f"g{number}") for number in range(5)]
    return [group.pk for group in made]


@pytest.mark.parametrize("ascending", [True, False])
def test_pages_follow_each_other_without_gap_or_overlap(groups: list[int], ascending: bool):
    after, seen, flags = None, [], []
    while True:
        page = keyset_page(Group.objects.all(), after=after, size=2, ascending=ascending)
        seen += [group.pk for group in page.rows]
        flags.append(page.is_first)
        if page.next is None:
            break
        after = page.next

    assert seen == (groups if ascending else groups[::-1])
    assert flags == [True, False, False]


def test_a_page_that_ends_with_the_rows_has_no_next(groups: list[int]):
    assert keyset_page(Group.objects.all(), size=5).next is None


def test_an_order_of_the_queryset_does_not_disturb(groups: list[int]):
    page = keyset_page(Group.objects.order_by("-name"), size=2, ascending=True)

    assert [group.pk for group in page.rows] == groups[:2]


@pytest.mark.parametrize("after", ["", "x", "-3", "1.5", "²", "0", "9" * 30, str(2**63), None])
def test_what_is_no_id_means_the_first_page(groups: list[int], after: str | None):
    page = keyset_page(Group.objects.all(), after=after, size=2)

    assert page.is_first
    assert [group.pk for group in page.rows] == groups[:2:-1]


def test_a_page_costs_one_query(groups: list[int], django_assert_num_queries: Any):
    with django_assert_num_queries(1):
        keyset_page(Group.objects.all(), size=2)
