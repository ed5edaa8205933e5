"""A controlling terminal for programs that tests start."""

from __future__ import annotations

import sys
import textwrap

_PROGRAM = textwrap.dedent("""
    import fcntl, os, pty, sys, termios
    ours, theirs = pty.openpty()
    os.set_inheritable(ours, True)  # open until the program ends: it would get SIGHUP
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    os.execv(sys.argv[1], sys.argv[1:])
    """)

# Starts the command that follows. It must lead its session; its standard files remain what they are.
ON_TERMINAL = (sys.executable, "-c", _PROGRAM)
