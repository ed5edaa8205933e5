"""Become a program that the kernel kills when its parent ends: ``pdeathsig.py PARENT_PID PROGRAM ARGUMENT...``.

This runs as a script and imports nothing of ours. A ``preexec_fn`` would do the same after the fork, but is not
safe in a process with threads, as one with a Kafka client is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then exec the program; the process id stays the same."""
    parent, program = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")
    if os.getppid() != parent:  # the parent ended before the signal was set
        return
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
