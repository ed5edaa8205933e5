"""What the tests of this package share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dfud.processes.signals import SignalPipe

_CHANGED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTOU, signal.SIGPIPE)


@pytest.fixture
def signals() -> Iterator[SignalPipe]:
    """A signal pipe for this process; afterwards its signals are handled as before."""
    before = {number: signal.getsignal(number) for number in _CHANGED}
    pipe = SignalPipe(has_terminal=True)
    yield pipe
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(pipe._read_end)
    os.close(pipe._write_end)
