"""What every worker process has in common."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NAME = 15

# The whole process group gets a terminal's signals, and the whole control group those of systemd: what they mean
# is for the supervisor to decide. SIGIO tells of a broken lease, which is given back anyway.
_LEFT_TO_SUPERVISOR = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGIO,
    signal.SIGPIPE,
)


def become_worker(name: str, supervisor: int) -> None:
    """Make this process a worker called `name` that never outlives process `supervisor`."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"dfud:{name}".encode()[:15], 0, 0, 0)
    if os.getppid() != supervisor:  # it ended before the kernel was told
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in _LEFT_TO_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
