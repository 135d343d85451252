"""What must be said before torch and its kin are imported, and who they die with."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from distill.logic.errors import InputError

SHIM_PID = "NEXA_SHIM_PID"
"""The process whose end must be the end of this one too, beside its parent."""

_NAMED = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers")


def prepare_environment(*, threads: int, is_offline: bool) -> None:
    """Set what the libraries read while they are imported.

    More threads than free cores cost a multiple (measured: 6 times the wall time), so the number
    of the spec overrides what is set. Nothing is reported to anybody, and with `is_offline`
    nothing is looked up on a hub.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    if is_offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if "RANK" not in os.environ:
        # Alone there is one process, and Trainer would split it over all devices that it sees.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of giving every large tensor's back.

    Asking the system anew for each costs page faults: on a CPU, 2,400 tokens a second became
    3,700. Numbers are from glibc's malloc.h; other C libraries have no such switch.
    """
    m_trim_threshold, m_mmap_max = -1, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def is_local(model: str) -> bool:
    """Say whether a student's name is a folder here, not the id of one on a hub."""
    return Path(model).is_dir()


def rank() -> int:
    """The number of this process among those that torchrun started; 0 when it is alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes torchrun started; 1 when this one is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_processes(wanted: int) -> None:
    """Raise InputError unless as many processes were started as the spec counts on."""
    if world_size() != wanted:
        raise InputError(
            f"The spec wants {wanted} processes, and {world_size()} were started. Start it with "
            f"torchrun --standalone --nproc_per_node {wanted} -m training.runner.sft FOLDER."
        )


def library_versions() -> dict[str, str]:
    """The versions of what a result depends on."""
    found: dict[str, str] = {}
    for name in _NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def die_with_parents() -> None:
    """End this process at once when the one that started it, or the shim, has gone.

    A thread waits for both; a rank that outlived its launcher would hold the device and write
    into a folder that somebody else continues.
    """
    parent = os.getppid()
    pids = [parent, *([int(os.environ[SHIM_PID])] if SHIM_PID in os.environ else [])]
    # Handles of processes, which see an end at once, are Linux's.
    wait = _wait_for_end if hasattr(os, "pidfd_open") else _look_for_end
    threading.Thread(target=_exit_after, args=(wait, pids), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _exit_after(wait: Callable[[Sequence[int]], None], pids: Sequence[int]) -> None:
    wait(pids)
    os._exit(1)


def _wait_for_end(pids: Sequence[int]) -> None:
    """Wait until one has ended; also when its number is taken again."""
    poll = select.poll()
    with contextlib.suppress(ProcessLookupError):
        for pid in pids:
            poll.register(os.pidfd_open(pid), select.POLLIN)
        poll.poll()


def _look_for_end(pids: Sequence[int]) -> None:
    """Look each second whether one has ended."""
    with contextlib.suppress(ProcessLookupError):
        while True:
            for pid in pids:
                os.kill(pid, 0)
            time.sleep(1)
