"""Who may enter Django's admin: operators, leads and admins, by their role."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from distill.http import has_role


class NexaAdminSite(AdminSite):
    """What each may see or change there follows from the permissions of their groups."""

    site_header = site_title = "Nexa Distill"
    index_title = "Administration"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator", "lead")
