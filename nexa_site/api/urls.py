"""All of the API: the endpoints of every application, and their schema."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from distill.api.endpoints import UnknownAddressView
from distill.api.urls import urlpatterns as distill_urls
from review.api import urlpatterns as review_urls

app_name = "api"

urlpatterns = [
    *distill_urls,
    *review_urls,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^", UnknownAddressView.as_view(), name="unknown"),
]
