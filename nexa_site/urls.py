"""The site's addresses: what belongs to no application, then one include for each."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from nexa_site import views
from nexa_site.api import reference, tokens

# Each application brings its own prefix (`datasets/`, `review/`, …) and name space.
APPS = [name for name in ("distill", "review", "training") if find_spec(f"{name}.urls")]

handler400 = "nexa_site.views.bad_request"

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("csp-report/", views.csp_report, name="csp_report"),
    path("login/", auth_views.LoginView.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("password/", auth_views.PasswordChangeView.as_view(), name="password_change"),
    path(
        "password/done/", auth_views.PasswordChangeDoneView.as_view(), name="password_change_done"
    ),
    path("admin/", admin.site.urls),
    path("api/", reference.api_reference, name="api_reference"),
    path("api/tokens/", tokens.api_tokens, name="api_tokens"),
    path("api/tokens/revoke/", tokens.revoke_api_token, name="revoke_api_token"),
    path("api/v1/", include("nexa_site.api.urls")),
    *(path("", include(f"{name}.urls")) for name in APPS),
]
