"""The one shape of everything that goes wrong: `{"detail": …}`, or `{"<field>": ["…"]}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import SuspiciousOperation
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from distill.logic.errors import ConflictError, DistillError


class MovedOnError(APIException):
    """The state moved on before this request; nothing was changed."""

    status_code = 409
    default_code = "conflict"


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer our own errors with their own words: input 400, conflict 409."""
    if isinstance(error, ConflictError):
        error = MovedOnError(str(error))
    elif isinstance(error, DistillError):
        error = ValidationError({"detail": str(error)})
    elif isinstance(error, SuspiciousOperation):
        error = ValidationError({"detail": "The request cannot be read."})
    response: Response | None = exception_handler(error, context)
    if response is not None:
        response.data = _shaped(response.data)
    return response


def _shaped(data: Any) -> Any:
    """Errors of a whole body are told as `detail` too."""
    if isinstance(data, list):
        return {"detail": " ".join(str(line) for line in data)}
    if isinstance(data, dict):
        data = dict(data)
        if whole := data.pop("non_field_errors", None):
            data["detail"] = " ".join(str(line) for line in whole)
        if isinstance(data.get("detail"), list):
            data["detail"] = " ".join(str(line) for line in data["detail"])
    return data
