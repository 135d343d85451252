"""How the schema says who may use an endpoint."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema


class RoleSchema(AutoSchema):
    """Adds the roles that the view asks for to each operation's description."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        told: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        roles = getattr(self.view, "roles", {}).get(self.method)
        if told is not None and roles:
            told["description"] = (
                f"{told.get('description', '')}\n\nFor: {', '.join(roles)}, admin."
            )
            told["description"] = told["description"].strip()
        return told
