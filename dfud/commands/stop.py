"""Signals that end a command that has something to clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(BaseException):
    """A signal asked for the end; a BaseException, so that nothing on the way takes it for a failure."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise StopRequested, once; what handled them before does so again afterwards."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in _SIGNALS:  # a stop is on its way, and takes a second
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
