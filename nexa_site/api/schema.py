"""The schema of the API, generated once for each process: it takes half a second."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView


@cache
def whole_schema() -> dict[str, Any]:
    """The OpenAPI document; the same for everybody."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


class _Generated(SchemaGenerator):
    """What has been generated already."""

    def get_schema(self, request: object = None, public: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        return whole_schema()


class SchemaView(SpectacularAPIView):
    generator_class = _Generated
