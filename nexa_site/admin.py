"""Who may enter Django's admin: operators, leads and admins, by their role."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin, action, site
from django.contrib.auth.models import User
from django.db.models import ManyToManyField, QuerySet
from django.http import HttpRequest

from distill.http import has_role
from nexa_site.models import ApiToken, PolicyViolation


class NexaAdminSite(AdminSite):
    """What each may see or change there follows from the permissions of their groups."""

    site_header = site_title = "Nexa Distill"
    index_title = "Administration"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator", "lead")


ROLES_IN_WORDS = (
    "Groups are roles; somebody without one sees nothing. Reviewer: reviews. Lead: reviews, sees all "
    "the rest, writes recipes and exports. Operator: as a lead, but imports, runs and deletes instead "
    "of reviewing. Admin: all of it, and users. Staff status plays no part."
)


def explain_roles() -> None:
    """Say beside a user's groups what each of them may do."""
    from django.contrib.auth.admin import UserAdmin

    class RolesUserAdmin(UserAdmin[User]):
        def formfield_for_manytomany(
            self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
        ) -> Any:
            field = super().formfield_for_manytomany(db_field, request, **kwargs)
            if field is not None and db_field.name == "groups":
                field.label, field.help_text = "Roles (groups)", ROLES_IN_WORDS
            return field

    site.unregister(User)
    site.register(User, RolesUserAdmin)


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


class ApiTokenAdmin(ModelAdmin[Any]):
    """Who has which tokens: to look and to revoke. The digest is shown nowhere."""

    list_display = ("name", "token_key", "user", "last_used_at", "created", "expiry")
    list_display_links = None
    search_fields = ("name", "token_key", "user__username")
    list_select_related = ("user",)
    fields = ("name", "token_key", "user", "last_used_at", "created", "expiry")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def show_tokens() -> None:
    """Show who has which tokens for the API. Here, not by a decorator: this module makes the site."""
    site.register(ApiToken, ApiTokenAdmin)


class PolicyViolationAdmin(ModelAdmin[Any]):
    """What browsers have stopped, the latest first: to look at, and to delete what is mended."""

    list_display = ("last_at", "directive", "blocked", "page", "times", "last_source")
    list_filter = ("directive",)
    search_fields = ("blocked", "page")
    ordering = ("-last_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return has_role(request.user, "operator")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return has_role(request.user, "operator")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator")


def show_violations() -> None:
    """Show operators what browsers have stopped."""
    site.register(PolicyViolation, PolicyViolationAdmin)


def offer_training() -> None:
    """Add an action to exports that trains a student with the shipped baseline."""
    from django.contrib.messages import ERROR

    from distill.logic.errors import DistillError
    from distill.models import Export
    from training import tasks
    from training.logic.spec import load_spec
    from training.queries.configs import BASELINE, read_config
    from training.services.start_once import start_once

    class TrainableExportAdmin(type(site.get_model_admin(Export))):  # type: ignore[misc]
        actions = ["train_student"]

        def has_operate_permission(self, request: HttpRequest) -> bool:
            return has_role(request.user, "operator")

        @action(description="Train a student (baseline)", permissions=["operate"])
        def train_student(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
            spec = load_spec(read_config(BASELINE) or "")
            user = User.objects.get(username=request.user.get_username())
            for export in queryset.select_related("dataset"):
                try:
                    run, is_new = start_once(spec=spec, export=export, user=user)
                except DistillError as error:
                    self.message_user(request, f"{export}: {error}", ERROR)
                    continue
                if is_new:
                    tasks.enqueue_training(run.pk)
                words = "is queued" if is_new else "is doing exactly this already"
                self.message_user(request, f"{export}: {run} {words}.")

    site.unregister(Export)
    site.register(Export, TrainableExportAdmin)
