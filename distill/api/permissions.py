"""Who may: the roles that the site's pages ask for, declared by each view for each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from distill.http import ROLE_NAMES, RoleName, has_role

if TYPE_CHECKING:
    # It imports this module itself, by its name in the settings.
    from rest_framework.views import APIView

LEADS: tuple[RoleName, ...] = ("lead", "operator")
"""Who sees datasets, runs, completions and exports. Admins may always."""
OPERATORS: tuple[RoleName, ...] = ("operator",)
REVIEWERS: tuple[RoleName, ...] = ("reviewer", "lead")


class HasRole(BasePermission):
    """One of the roles that the view names in `roles` for the method; no one where it names none."""

    message = "Your roles do not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        roles = getattr(view, "roles", {})
        # What a method takes and gives is no secret from those who may use one of them.
        asked = roles.get("GET" if request.method == "HEAD" else request.method)
        if asked is None:
            return has_any_role(request)
        return has_role(request.user, *asked)


class HasAnyRole(BasePermission):
    """Whoever has a role at all."""

    message = "You have no role yet: ask an administrator for one."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_any_role(request)


def has_any_role(request: Request) -> bool:
    return has_role(request.user, *ROLE_NAMES)
