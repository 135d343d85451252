"""The identity of a request: what may be bought only once."""

from __future__ import annotations

import hashlib

import orjson

from distill.logic.types import Request


def request_key(request: Request) -> bytes:
    """SHA-256 (32 bytes) over everything that can change the reply, and nothing else.

    That is the teacher's configured name with its model, every parameter, the messages and the
    draw, as JSON with sorted keys. Never a dataset, sample, run or URL: the same question is
    answered from the ledger wherever it is asked again. Parameters must be plain JSON values;
    anything else raises `TypeError`.
    """
    content = {
        "draw": request.draw,
        "messages": [[message.role, message.content] for message in request.messages],
        "parameters": dict(request.parameters),
        "teacher": request.teacher,
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()
