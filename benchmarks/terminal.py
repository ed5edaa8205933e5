"""Run a command at a terminal of 80 columns that shows nothing: ``python -m benchmarks.terminal COMMAND...``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios

_SIZE = struct.pack("HHHH", 24, 80, 0, 0)  # rows and columns


def main(words: list[str]) -> int:
    """Read all that the command writes; return its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, _SIZE)
        os.execvp(words[0], words)
    with contextlib.suppress(OSError):  # EIO: it has ended
        while os.read(terminal, 1 << 16):
            pass
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
