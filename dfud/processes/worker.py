"""What every worker process has in common."""

from __future__ import annotations

import ctypes
import gc
import os
import signal

from dfud.processes.signals import leave_signals_to_supervisor

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NAME = 15
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_MAX_KEPT_BYTES = 32 << 20  # bytes, the most that glibc allows


def init_worker(name: str, supervisor: int) -> None:
    """Make this process a worker called `name` that never outlives process `supervisor`."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"dfud:{name}".encode()[:15], 0, 0, 0)
    if os.getppid() != supervisor:  # it ended before the kernel was told
        os._exit(1)
    leave_signals_to_supervisor()


def tune_gc() -> None:
    """Have Python's collector of cycles look less often, and not at what is there already.

    There are tens of thousands of small objects at a time and hardly a cycle among them; looking took an eighth
    of all that a small file costs. What is frozen here stays shared with the processes that are forked.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def tune_malloc() -> None:
    """Have the C library keep the memory that is freed: what a message had, the next one gets.

    Without it a message of more than 128 KiB is mapped and unmapped each time, and each of its pages zeroed. A
    C library that has no such setting (musl) goes on as it does.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MAX_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _MAX_KEPT_BYTES)
