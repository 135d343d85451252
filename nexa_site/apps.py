"""The application's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class NexaSiteConfig(AppConfig):
    """Names the application for Django and the admin."""

    name = "nexa_site"
    verbose_name = "Nexa Distill"


class NexaAdminConfig(AdminConfig):
    """Django's admin, with our own idea of who may enter."""

    default_site = "nexa_site.admin.NexaAdminSite"

    def ready(self) -> None:
        super().ready()
        from nexa_site.admin import (
            close_schedules,
            explain_roles,
            offer_training,
            show_tokens,
            show_violations,
        )

        close_schedules()
        explain_roles()
        offer_training()
        show_tokens()
        show_violations()
