"""What a program and all its processes use, read from /proc."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Of one process since its start, all its threads together."""

    cpu: float  # s
    wakeups: int  # times that a thread began to run again after it had waited


def tree(root: int) -> list[int]:
    """Return `root` and all its descendants that live."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def name_of(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()


def usage(process: int) -> Usage:
    """Return what a process has used; OSError if it is gone."""
    cpu, wakeups = 0, 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            cpu += int((thread / "schedstat").read_text().split()[0])
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    wakeups += int(line.split()[1])
    return Usage(cpu / 1e9, wakeups)


def pss(processes: list[int]) -> int:
    """Return the proportional set size of processes in bytes: what is shared counts once."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
    return total
