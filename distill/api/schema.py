"""How an endpoint's description says who may use it."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema


class RoleSchema(AutoSchema):
    """Adds the roles that the view asks for to each operation's description."""

    def get_description(self) -> str:
        roles = getattr(self.view, "roles", {}).get(self.method)
        if not roles:
            return super().get_description() or ""
        return f"{super().get_description() or ''}\n\nFor: {', '.join(roles)}, admin.".strip()
