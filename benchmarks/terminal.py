"""Run a command at a terminal of 80 columns without a user: ``python -m benchmarks.terminal FILE COMMAND...``.

The CPU time of the command's own process, without those it has started (s), becomes another line of FILE.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path

from benchmarks.command import cpu_of

_SIZE = struct.pack("HHHH", 24, 80, 0, 0)  # rows and columns


def main(file: Path, words: list[str]) -> int:
    """Read all that the command writes; return its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, _SIZE)
        os.execvp(words[0], words)
    with contextlib.suppress(OSError):  # EIO: it has ended
        while os.read(terminal, 1 << 16):
            pass
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    with file.open("a") as output:
        output.write(f"{cpu_of(child):.2f}\n")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
