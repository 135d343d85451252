"""Why a program ended that was to go on, in words that say what to do."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

_KILLED = (
    "It was killed (signal 9), by the system most often, for want of memory: lower batch_size or "
    "max_length, or close other programs; then resume."
)
_CAUSES = (
    (
        r"out of memory|OutOfMemoryError|can't allocate memory|MemoryError|Cannot allocate memory",
        "It ran out of memory: lower batch_size (and raise accumulation), lower max_length, or "
        "switch gradient_checkpointing on.",
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large|os error 28",
        "The disk is full: free some space, then resume; it goes on from the last checkpoint.",
    ),
    (
        r"loss (?:became|is|was) (?:nan|inf)|non-finite loss",
        "The loss is no number any more: lower learning_rate, raise warmup_steps, or lower clip.",
    ),
    (
        r"cannot be loaded|Can't load|not a local folder|RepositoryNotFound|LocalEntryNotFound|"
        r"does not appear to have a file named",
        "The student cannot be loaded: give a folder of a transformers model, or a hub's id that "
        "this host has in its cache or can fetch.",
    ),
    (
        r"No module named '(?:torch|transformers|trl|accelerate|datasets|tokenizers)",
        "The training libraries are not installed on this host: run `make install`, or "
        "`pip install -e '.[train]'`.",
    ),
    (r"SIGKILL|Signal 9\b", _KILLED),
)
_NUM_LINES = 12
_MAX_CHARS = 2_000
_OWN_WORDS = "error: "
"""How the runner begins its last line, which says all by itself."""


def explain_end(*, code: int, said: str, log: Sequence[str], is_disk_full: bool) -> str:
    """What happened and what to do, and the log's last lines.

    `code` is negative for a signal; `said` is what the program wrote about its own end, if it did.
    """
    own = said or next((line for line in log[-3:] if line.startswith(_OWN_WORDS)), "")
    if own:
        return own.removeprefix(_OWN_WORDS)
    cause = _cause(code, "\n".join(log), is_disk_full)
    lines = "\n".join(line for line in log[-_NUM_LINES:] if line)[-_MAX_CHARS:]
    return f"{cause}\nThe last lines of its log:\n{lines}" if lines else cause


def _cause(code: int, log: str, is_disk_full: bool) -> str:  # noqa: FBT001 - private
    for pattern, words in _CAUSES:
        if re.search(pattern, log, re.IGNORECASE):
            return words
    if is_disk_full:
        return "The disk is full: free some space, then resume."
    if code == -signal.SIGKILL:
        return _KILLED
    if code < 0:
        return f"It was ended by signal {-code} ({_name(-code)})."
    return f"It ended with code {code} and left no model."


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
