"""Signal dispositions of the processes that tests start."""

from __future__ import annotations

import signal

_STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def ignore_lease_breaks() -> None:
    """Survive the signal by which the kernel wants a lease back, as the workers do, which ignore it.

    Tests that look at files in this process may hold a lease for an instant. A handler, as children would inherit
    that the signal is ignored.
    """
    signal.signal(signal.SIGIO, lambda _number, _frame: None)


def default_dispositions_for_children() -> None:
    """Start all children from now on with the default dispositions of the signals that stop a program.

    A shell without job control starts its background jobs with SIGINT and SIGQUIT ignored, and nohup(1) ignores
    SIGHUP; execve(2) passes on what is ignored, but resets what is handled. So this process, which keeps
    ignoring these signals, does it in a handler.
    """
    for number in _STOPPING:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
