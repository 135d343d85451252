"""What Linux says of a process, read from the texts in `/proc/<pid>/`."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER_VARIABLE = "NEXA_PROCESS_FOLDER"
"""Set for a program and all that it starts: the folder that it was started for."""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """`started` is in ticks since the machine came up: with the pid it names one process."""

    state: str
    started: int

    @property
    def is_dead(self) -> bool:
        """It has ended; only its parent has not asked how."""
        return self.state in ("Z", "X")


def parse_stat(text: str) -> ProcessStat:
    """State and start time. The name before them may hold spaces and brackets (proc(5))."""
    fields = text.rpartition(")")[2].split()
    return ProcessStat(state=fields[0], started=int(fields[19]))


def is_marked(environ: bytes, folder: object) -> bool:
    """Whether a process with this environment was started for the folder."""
    return f"{FOLDER_VARIABLE}={folder}".encode() in environ.split(b"\0")
