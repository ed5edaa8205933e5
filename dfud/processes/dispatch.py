"""Calls the one handler for a message's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, get_args

Received = TypeVar("Received")


class Dispatcher(Generic[Received]):
    """Calls the handler for each message's type; built once, with a handler for every type of a union."""

    def __init__(self, union: Any, handlers: Mapping[type, Callable[[Any], None]]) -> None:
        """Raise TypeError unless `handlers` has exactly the types of `union` (one of those in `dfud.messages`)."""
        expected = set(get_args(union) or (union,))
        if expected != set(handlers):
            names = ", ".join(sorted(kind.__name__ for kind in expected ^ set(handlers)))
            raise TypeError(f"handlers do not match the union of messages: {names}")
        self._handlers = dict(handlers)

    def __call__(self, message: Received) -> None:
        """Handle `message`; TypeError if its type is not in the union."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise TypeError(f"no handler for {message!r}")
        handler(message)
