"""The last stop of a program of the runner: what went wrong, as one line a person can act on."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from distill.logic.errors import DistillError
from training.runner.metrics_log import MetricsLog

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# torch's archives and safetensors lose the number and keep the words.
_FULL_WORDS = (
    "No space left",
    "os error 28",
    "File too large",
    "PytorchStreamWriter failed",
    "iostream error",
    "unexpected pos",
)


@contextmanager
def clear_errors(log: MetricsLog) -> Iterator[None]:
    """Turn any error into an `error` event, a last line in the log, and exit code 1."""
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None:
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
        with suppress(OSError):  # the disk may be what is full
            log.write("error", message=message)
        who = "error" if log.is_writer else "error in another process"
        print(f"{who}: {message}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error


def explain(error: BaseException) -> str | None:
    """What to tell people about an error that is no fault of ours; None for all others."""
    if isinstance(error, DistillError):
        return str(error)
    if is_disk_full(error):
        return "The disk is full. Free some space and resume: it goes on from the last checkpoint."
    if type(error).__name__ == "OutOfMemoryError":
        return (
            "The device's memory is full: lower batch_size (and raise accumulation), lower "
            "max_length, or switch gradient_checkpointing on."
        )
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return None


def is_disk_full(error: BaseException) -> bool:
    """Say whether something could not be written for want of room."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(words in str(error) for words in _FULL_WORDS)
