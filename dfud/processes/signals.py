"""The signals that end the program, turned into something that can be waited for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A terminal signals the whole process group, and systemd the whole control group: what that means is for the
# supervisor to decide. SIGIO reports that a lease is being broken; workers return leases at once anyway.
_IGNORED_BY_WORKERS = (*_ENDING, signal.SIGQUIT, signal.SIGIO, signal.SIGPIPE)


class SignalPipe:
    """Receives this process's signals through a pipe (the self-pipe trick); only a supervisor has one.

    SIGHUP stays ignored if it was when the program started, as under nohup. SIGINT does not: a shell script starts
    each ``dfud … &`` with SIGINT ignored, and Ctrl-C at that script or ``kill -INT`` still have to end dfud in an
    orderly way, or they would leave uploads behind that run on unnoticed.
    """

    def __init__(self) -> None:
        """Take over the handling of signals in this process, for the rest of its life."""
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in _ENDING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a signal has arrived."""
        return self._read_end

    def read(self) -> list[signal.Signals]:
        """Return the signals that have arrived and ask the program to end, without waiting."""
        try:
            numbers = os.read(self._read_end, 64)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in _ENDING]


@contextlib.contextmanager
def ending_signals_blocked() -> Iterator[None]:
    """Block these signals while a child is forked, which would receive them with the supervisor's handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_ending_signals() -> None:
    """Ignore, in a child, every signal that is meant for the program as a whole."""
    signal.set_wakeup_fd(-1)
    for number in _IGNORED_BY_WORKERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
