"""What Linux says that a process is doing: proc(5), ``/proc/PID/stat``."""

from __future__ import annotations

from typing import NamedTuple

STOPPED, TRACED, IN_KERNEL = "T", "t", "D"  # by a signal; by a debugger; not even a signal wakes it
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12  # positions of fields, counted from behind the name


class ProcessState(NamedTuple):
    """The state of a process, and how much processor time it has used."""

    state: str
    ticks: int


def process_state(pid: int) -> ProcessState | None:
    """Return the state of a process; None if there is no such process, or no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # a name may contain anything
        return ProcessState(fields[_STATE].decode(), int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]))
    except (OSError, IndexError, ValueError):
        return None
