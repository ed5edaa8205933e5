"""Calling the one handler that a message's type has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, get_args

Received = TypeVar("Received")


class Dispatcher(Generic[Received]):
    """Calls the handler of each message's type; made once, with a handler for every type of a union."""

    def __init__(self, union: Any, handlers: Mapping[type, Callable[[Any], None]]) -> None:
        """Raise TypeError if `handlers` are not exactly those of `union` (one of `dfud.messages`)."""
        expected = set(get_args(union) or (union,))
        if expected != set(handlers):
            names = ", ".join(sorted(kind.__name__ for kind in expected ^ set(handlers)))
            raise TypeError(f"handlers do not match the messages that may come: {names}")
        self._handlers = dict(handlers)

    def __call__(self, message: Received) -> None:
        """Handle `message`; TypeError if its type is not of the union."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise TypeError(f"no handler for {message!r}")
        handler(message)
