"""The application's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class DistillConfig(AppConfig):
    """Names the application for Django and the admin."""

    name = "distill"
    verbose_name = "Distillation"
