"""The signals that end the program or reopen its log, turned into something that can be waited for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A terminal signals the whole process group, and systemd the whole control group: what that means is for the
# supervisor to decide. SIGIO reports that a lease is being broken; workers return leases at once anyway.
_IGNORED_BY_WORKERS = (*_ENDING, signal.SIGQUIT, signal.SIGIO, signal.SIGPIPE)
_OF_TERMINAL = (signal.SIGWINCH, signal.SIGCONT)


class SignalPipe:
    """Receives this process's signals through a pipe (the self-pipe trick); only a supervisor has one.

    SIGHUP asks for the end where it says that the terminal is gone. A service has none: there it calls
    `on_hangup`, and the program goes on. It stays ignored if it was when the program started, as under nohup.
    SIGINT does not: a shell script starts each ``dfud … &`` with SIGINT ignored, and Ctrl-C at that script or
    ``kill -INT`` still have to end dfud in an orderly way, or they would leave uploads behind that run on
    unnoticed.
    """

    def __init__(self, has_terminal: bool | None = None) -> None:
        """Take over the handling of signals in this process, for the rest of its life.

        `has_terminal` says whether it has a controlling terminal; by default that is found out.
        """
        self._has_terminal = _has_terminal() if has_terminal is None else has_terminal
        self.on_hangup: Callable[[], None] = lambda: None
        self._on_continued: Callable[[], None] = lambda: None
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

    def watch_terminal(self, on_continued: Callable[[], None]) -> None:
        """Be readable when the terminal changes its size, too; call `on_continued` after a stop."""
        self._on_continued = on_continued
        for number in _OF_TERMINAL:
            signal.signal(number, lambda *_: None)

    def read(self) -> list[signal.Signals]:
        """Return the signals that have arrived and ask the program to end, without waiting; call the handlers."""
        try:
            numbers = os.read(self._read_end, 64)
        except BlockingIOError:
            return []
        if signal.SIGCONT in numbers:
            self._on_continued()
        received = [signal.Signals(number) for number in numbers if number in _ENDING]
        if self._has_terminal or signal.SIGHUP not in received:
            return received
        self.on_hangup()
        return [number for number in received if number != signal.SIGHUP]


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal, be it the one of its standard files or not."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


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
    for number in _OF_TERMINAL:
        signal.signal(number, signal.SIG_DFL)  # which is to do nothing, and to go on
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
