"""Tokens: made on the page or by the command, shown once, used, revoked, ended."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from nexa_site.models import ApiToken
from nexa_site.services.bootstrap import create_roles
from nexa_site.services.create_token import MAX_TOKENS, create_token
from tests.builders import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client):
    user = make_user("lead", name="ada")
    client.force_login(user)
    return user


def status_with(text):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client.get("/api/v1/datasets/").status_code


def test_a_token_is_made_used_and_revoked(client, ada):
    made = client.post(reverse("api_tokens"), {"name": "nightly <b>", "days": "30"})
    text = re.search(r'<pre id="token">(nexa_[0-9a-f]{64})</pre>', made.text)[1]
    assert status_with(text) == 200
    page = client.get(reverse("api_tokens"))
    assert text not in page.text
    assert "nightly &lt;b&gt;" in page.text
    assert "just now" in page.text
    token = ApiToken.objects.get()
    assert text not in str(vars(token))
    assert timedelta(29) < token.expiry - timezone.now() <= timedelta(30)
    revoked = client.post(reverse("revoke_api_token"), {"token_key": token.token_key}, follow=True)
    assert "is revoked" in revoked.text
    assert status_with(text) == 401
    twice = client.post(reverse("revoke_api_token"), {"token_key": token.token_key}, follow=True)
    assert "Nothing was changed" in twice.text


def test_nobody_revokes_anothers(client, ada):
    token, text = create_token(user=make_user("lead"), name="theirs", days=1)
    client.post(reverse("revoke_api_token"), {"token_key": token.token_key})
    assert status_with(text) == 200
    assert "theirs" not in client.get(reverse("api_tokens")).text


@pytest.mark.parametrize("data", [{}, {"name": "x"}, {"name": "x", "days": "366"}, {"days": "7"}])
def test_what_is_not_filled_in_makes_nothing(client, ada, data):
    assert client.post(reverse("api_tokens"), data).status_code == 422
    assert not ApiToken.objects.exists()


def test_there_is_an_end_to_tokens(client, ada, monkeypatch):
    monkeypatch.setattr("nexa_site.services.create_token.MAX_TOKENS", 1)
    assert MAX_TOKENS == 50
    create_token(user=ada, name="one", days=1)
    full = client.post(reverse("api_tokens"), {"name": "two", "days": "7"})
    assert (full.status_code, "revoke one first" in full.text) == (422, True)


def test_roles_are_those_of_this_moment():
    user = make_user("lead")
    _, text = create_token(user=user, name="x", days=1)
    assert status_with(text) == 200
    user.groups.clear()
    assert status_with(text) == 403


def test_use_is_noted_to_the_minute():
    token, text = create_token(user=make_user("lead"), name="x", days=1)
    status_with(text)
    first = ApiToken.objects.get().last_used_at
    status_with(text)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(minutes=2))
    status_with(text)
    assert ApiToken.objects.get().last_used_at >= first


def test_the_command_prints_a_token_that_works():
    make_user("operator", name="bob")
    out, err = io.StringIO(), io.StringIO()
    call_command("create_token", "bob", "--days", "2", stdout=out, stderr=err)
    assert status_with(out.getvalue().strip()) == 200
    assert "not shown again" in err.getvalue()
    for argv, why in ((["nobody"], "no user"), (["bob", "--days", "0"], "1 to 365")):
        with pytest.raises(CommandError, match=why):
            call_command("create_token", *argv)


def test_admins_see_whose_tokens_there_are_and_no_secret(client):
    create_roles()
    token, text = create_token(user=make_user("lead", name="ada"), name="nightly", days=1)
    client.force_login(make_user("admin"))
    for url in (
        reverse("admin:nexa_site_apitoken_changelist"),
        reverse("admin:nexa_site_apitoken_change", args=[token.pk]),
    ):
        page = client.get(url)
        assert page.status_code == 200
        assert ("nightly" in page.text, text in page.text) == (True, False)
    delete = reverse("admin:nexa_site_apitoken_delete", args=[token.pk])
    client.post(delete, {"post": "yes"})
    assert status_with(text) == 401


def test_every_request_counts_and_too_many_are_told_to_wait(monkeypatch):
    from rest_framework.throttling import UserRateThrottle

    monkeypatch.setattr(UserRateThrottle, "rate", "2/min", raising=False)
    _, text = create_token(user=make_user("lead"), name="x", days=1)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    answers = [client.get("/api/v1/datasets/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "detail" in answers[-1].json()
