"""What every worker process does first, and how Python and the C library are tuned for short-lived objects."""

from __future__ import annotations

import ctypes
import gc
import os
import signal

from dfud.processes.signals import ignore_ending_signals

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NAME = 15
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_MMAP_THRESHOLD_BYTES = 32 << 20  # the most that glibc allows


def init_worker(name: str, supervisor_pid: int) -> None:
    """Turn this process into a worker called `name` that the kernel kills when `supervisor_pid` ends."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"dfud:{name}".encode()[:15], 0, 0, 0)
    if os.getppid() != supervisor_pid:  # it ended before PR_SET_PDEATHSIG took effect
        os._exit(1)
    ignore_ending_signals()


def tune_gc() -> None:
    """Make Python's cyclic garbage collector run less often, and never over the objects that exist already.

    There are tens of thousands of small objects at a time and hardly a cycle among them; collecting took an eighth
    of the total cost of a small file. What is frozen here also stays shared with the processes that are forked.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def tune_malloc() -> None:
    """Make the C library keep the memory that is freed, so that the next message reuses that of the last.

    Without it each message of more than 128 KiB is mapped and unmapped, and each of its pages zeroed. A C library
    without these settings (musl) is left as it is.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _MMAP_THRESHOLD_BYTES)
