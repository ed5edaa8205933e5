"""What every worker process has in common."""

from __future__ import annotations

import ctypes
import os
import signal

from dfud.pipeline.signals import leave_signals_to_supervisor

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NAME = 15


def become_worker(name: str, supervisor: int) -> None:
    """Make this process a worker called `name` that never outlives process `supervisor`."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"dfud:{name}".encode()[:15], 0, 0, 0)
    if os.getppid() != supervisor:  # it ended before the kernel was told
        os._exit(1)
    leave_signals_to_supervisor()
