"""Checks that end in time, whatever hangs: a process makes each, and is killed when it is late."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dfud.doctor.diagnosis import Diagnosis, stops
from dfud.errors import DfudError
from dfud.processes.child import ChildCall

Check = Callable[..., Iterable[Diagnosis]]
Result = TypeVar("Result")


def make_check(subject: str, timeout_s: float, check: Check, *args: Any) -> list[Diagnosis]:
    """Return what `check(*args)` yields; if that fails or takes too long, a diagnosis of `subject`."""
    with ChildCall(_make, check, args) as call:
        try:
            if receive(call, time.monotonic() + timeout_s) is None:
                return call.result
        except DfudError as error:
            return [stops(subject, str(error))]
    late = f"the check has not ended after {timeout_s:g} s: a file system or a server does not answer"
    return [stops(subject, f"{late}; look at the mounts of this machine (df, dmesg)")]


def receive(call: ChildCall[Result], deadline: float) -> str | None:
    """Return None once the call has its result, and before that why it waits; "" if neither is known in time.

    Raises the DfudError that the call raises. `deadline` is in s, monotonic.
    """
    if not select.select([call.fileno()], [], [], max(0.0, deadline - time.monotonic()))[0]:
        return ""
    return call.receive()


def _make(_on_wait: Callable[[str], None], check: Check, args: tuple[Any, ...]) -> list[Diagnosis]:
    return list(check(*args))
