"""The signals that end the program, turned into something that can be waited for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The whole process group gets a terminal's signals, and the whole control group those of systemd: what they mean
# is for the supervisor to decide. SIGIO tells of a broken lease, which is given back anyway.
_LEFT_TO_SUPERVISOR = (*_ENDING, signal.SIGQUIT, signal.SIGIO, signal.SIGPIPE)


class SignalPipe:
    """Takes the signals of this process from now on; only the supervisor's process has one."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        for number in _ENDING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # left so by nohup
                signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def fileno(self) -> int:
        return self._readable

    def read(self) -> list[signal.Signals]:
        """Return those that have come and ask for the end, without waiting."""
        try:
            numbers = os.read(self._readable, 64)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in _ENDING]


@contextlib.contextmanager
def ending_signals_blocked() -> Iterator[None]:
    """Hold signals back while a child is forked: it would take them with our handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_ending_signals() -> None:
    """In a child: take no signal that is meant for the whole program."""
    signal.set_wakeup_fd(-1)
    for number in _LEFT_TO_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
