"""A lease of another program on a file, such as a file server's oplock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLDER = """
import fcntl, os, signal, sys, time
path, hold_s = sys.argv[1], float(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
descriptor = os.open(path, os.O_RDONLY)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
signal.sigwait([signal.SIGIO])
print("asked", flush=True)
if hold_s:
    time.sleep(hold_s)
    sys.exit()
while True:  # as a file server does whose client opens the file again and again
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    signal.sigwait([signal.SIGIO])
"""


@contextmanager
def leased(path: Path, hold_s: float) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lease on a file, for so long after it was asked to give it up; 0: for ever."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path), str(hold_s)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()
