"""Checks that end in time, whatever hangs: a process makes each, and is killed when it is late."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from dfud.doctor.diagnosis import Diagnosis, stops
from dfud.errors import DfudError
from dfud.processes.child import ChildCall

Result = TypeVar("Result")


class Check(NamedTuple):
    """What is to be looked at."""

    subject: str  # of the diagnosis if it fails
    function: Callable[..., Iterable[Diagnosis]]
    args: tuple[Any, ...]


def make_checks(timeout_s: float, *checks: Check) -> Iterator[list[Diagnosis]]:
    """Make all checks at the same time; yield what each finds, in their order.

    A check that fails, or has not ended in time, is a diagnosis, too.
    """
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as stack:
        calls = [stack.enter_context(ChildCall(_call, _make, (check,))) for check in checks]
        for check, call in zip(checks, calls):
            try:
                yield _result(call, deadline, timeout_s)
            except DfudError as error:
                yield [stops(check.subject, str(error))]


def call_in_time(timeout_s: float, function: Callable[..., Result], *args: Any) -> Result:
    """Return what `function(*args)` returns; DfudError if it fails or takes too long."""
    call: ChildCall[Result] = ChildCall(_call, function, args)
    with call:
        return _result(call, time.monotonic() + timeout_s, timeout_s)


def _result(call: ChildCall[Result], deadline: float, timeout_s: float) -> Result:
    if receive(call, deadline) is None:
        return call.result
    raise DfudError(
        f"the check has not ended after {timeout_s:g} s: a file system or a server does not answer; look at the "
        "mounts of this machine (df, dmesg)"
    )


def receive(call: ChildCall[Result], deadline: float) -> str | None:
    """Return None once the call has its result, and before that why it waits; "" if neither is known in time.

    Raises the DfudError that the call raises. `deadline` is in s, monotonic.
    """
    if not select.select([call.fileno()], [], [], max(0.0, deadline - time.monotonic()))[0]:
        return ""
    return call.receive()


def _call(_on_wait: Callable[[str], None], function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    return function(*args)


def _make(check: Check) -> list[Diagnosis]:
    return list(check.function(*check.args))
