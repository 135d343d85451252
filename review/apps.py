"""The application's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Names the application for Django and the admin."""

    name = "review"
    verbose_name = "Review"
