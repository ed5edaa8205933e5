"""Signals that stop a command which has something to clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(BaseException):
    """A signal asked the command to stop. A BaseException, so that no handler of failures catches it."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """Make SIGINT and SIGTERM raise StopRequested, once; restore their handlers at the end of the block."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in _SIGNALS:  # stopping takes a second, which a further signal must not cut short
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
