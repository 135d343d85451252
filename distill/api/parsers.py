"""Bodies in JSON, refused before they can fill the memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BODY_BYTES = 2_000_000


class TooLargeError(APIException):
    """Nothing in JSON is that long here; files go to their own address."""

    status_code = 413
    default_code = "too_large"
    default_detail = f"The body is longer than {MAX_BODY_BYTES:,} bytes."


class BoundedJSONParser(BaseParser):
    """Strict JSON in UTF-8: no NaN, bounded in size and depth."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}") from error
