"""Who may enter Django's admin: operators, leads and admins, by their role."""

from __future__ import annotations

from django.contrib.admin import AdminSite, site
from django.http import HttpRequest

from distill.http import has_role


class NexaAdminSite(AdminSite):
    """What each may see or change there follows from the permissions of their groups."""

    site_header = site_title = "Nexa Distill"
    index_title = "Administration"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator", "lead")


def close_schedules() -> None:
    """Show the schedules without a way to write one: it names any function, `os.system` too.

    Who steals an administrator's session shall not own the machine.
    """
    from django_q.admin import ScheduleAdmin
    from django_q.models import Schedule

    class ClosedScheduleAdmin(ScheduleAdmin):  # type: ignore[misc]  # it comes without types
        def has_add_permission(self, request: HttpRequest) -> bool:
            return False

        def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
            return False

    site.unregister(Schedule)
    site.register(Schedule, ClosedScheduleAdmin)
