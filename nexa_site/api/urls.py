"""All of the API: the endpoints of every application, and their schema."""

from __future__ import annotations

from django.urls import path, re_path

from distill.api.endpoints import UnknownAddressView
from distill.api.urls import urlpatterns as distill_urls
from nexa_site.api.schema import SchemaView
from review.api import urlpatterns as review_urls
from training.api import urlpatterns as training_urls

app_name = "api"

urlpatterns = [
    *distill_urls,
    *review_urls,
    *training_urls,
    path("schema/", SchemaView.as_view(), name="schema"),
    re_path(r"^", UnknownAddressView.as_view(), name="unknown"),
]
