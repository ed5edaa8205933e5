"""What a program and all of its processes use, read from /proc."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """What one process has used since its start, all threads together."""

    cpu: float  # s
    wakeups: int  # voluntary context switches: how often a thread had to wait


def tree(root: int) -> list[int]:
    """Return the process ids of `root` and all of its running descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    pids = [root]
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def name_of(pid: int) -> str:
    """Return the name of a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def usage(pid: int) -> Usage:
    """Return what a process has used; OSError if it has exited."""
    cpu, wakeups = 0, 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            cpu += int((thread / "schedstat").read_text().split()[0])
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    wakeups += int(line.split()[1])
    return Usage(cpu / 1e9, wakeups)


def pss(pids: list[int]) -> int:
    """Return the proportional set size of processes in bytes: shared memory counts once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
    return total
