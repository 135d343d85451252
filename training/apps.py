"""The application's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Names the application for Django and the admin."""

    name = "training"
    verbose_name = "Training"
