"""The dispatcher: every message has its one handler, or there is an error at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dfud.messages import (
    Allowance,
    FileDropped,
    FilesUnrecorded,
    LogsReplaced,
    Message,
    Reconsider,
    Stop,
    Sweep,
    ToReader,
    ToWatcher,
)
from dfud.processes.dispatch import Dispatcher


def table(calls: list[tuple[str, Message]]) -> dict[type, Callable[[Any], None]]:
    """Return handlers for ToWatcher that record which of them was called."""
    return {
        Allowance: lambda message: calls.append(("allowance", message)),
        Sweep: lambda message: calls.append(("sweep", message)),
        Reconsider: lambda message: calls.append(("reconsider", message)),
        FilesUnrecorded: lambda message: calls.append(("unrecorded", message)),
        LogsReplaced: lambda message: calls.append(("logs", message)),
        Stop: lambda message: calls.append(("stop", message)),
    }


def test_each_message_goes_to_the_handler_of_its_type() -> None:
    calls: list[tuple[str, Message]] = []
    dispatch: Dispatcher[ToWatcher] = Dispatcher(ToWatcher, table(calls))
    for message in (Sweep(1), Stop(), Allowance(2), Sweep(3)):
        dispatch(message)
    assert calls == [("sweep", Sweep(1)), ("stop", Stop()), ("allowance", Allowance(2)), ("sweep", Sweep(3))]


def test_a_union_of_one_type() -> None:
    stopped: list[Stop] = []
    dispatch: Dispatcher[ToReader] = Dispatcher(ToReader, {Stop: stopped.append})
    dispatch(Stop())
    assert stopped == [Stop()]


def test_a_missing_handler_is_an_error() -> None:
    handlers = table([])
    del handlers[Sweep]
    with pytest.raises(TypeError, match=r"^handlers do not match the union of messages: Sweep$"):
        Dispatcher(ToWatcher, handlers)


def test_a_handler_for_a_message_that_cannot_arrive_is_an_error() -> None:
    handlers = {**table([]), FileDropped: lambda _: None}
    with pytest.raises(TypeError, match=r"^handlers do not match the union of messages: FileDropped$"):
        Dispatcher(ToWatcher, handlers)


def test_a_message_of_another_union_is_an_error() -> None:
    calls: list[tuple[str, Message]] = []
    dispatch: Dispatcher[Any] = Dispatcher(ToWatcher, table(calls))
    with pytest.raises(TypeError, match=r"no handler for FileDropped\(token=1\)"):
        dispatch(FileDropped(1))
    assert calls == []
