"""The application's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class NexaSiteConfig(AppConfig):
    """Names the application for Django and the admin."""

    name = "nexa_site"
    verbose_name = "Nexa Distill"
