"""Batches of messages as bytes.

The messages that come once a file are packed as plain tuples by `marshal`, which takes a third of what `pickle`
does (`benchmarks/micro/channels.py`); all others are pickled. Both ends are processes of one program, forked from
one another: nothing here is a format that lasts.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from dfud.core.version import FileVersion
from dfud.messages import FileFound, FileStart, FileTask, Message, RunReady

_new = tuple.__new__  # what a named tuple's `_make` does, without its call
_FOUND, _TASK, _RUN, _OTHER = range(4)


def pack(batch: Sequence[Message]) -> bytes:
    """Return `batch` as bytes."""
    return marshal.dumps([_PACKERS.get(type(message), _pack_other)(message) for message in batch])


def unpack(data: bytes | memoryview) -> list[Message]:
    """Return the batch that was packed."""
    return [_UNPACKERS[packed[0]](packed) for packed in marshal.loads(data)]


def _pack_other(message: Any) -> tuple[Any, ...]:
    return (_OTHER, pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _unpack_other(packed: tuple[Any, ...]) -> Message:
    message: Message = pickle.loads(packed[1])
    return message


def _pack_found(message: Any) -> tuple[Any, ...]:
    version, by_event = message
    return (_FOUND, tuple(version), by_event)


def _unpack_found(packed: tuple[Any, ...]) -> Message:
    _, version, by_event = packed
    return _new(FileFound, (_new(FileVersion, version), by_event))


def _pack_task(message: Any) -> tuple[Any, ...]:
    token, version, *rest = message
    return (_TASK, token, tuple(version), *rest)


def _unpack_task(packed: tuple[Any, ...]) -> Message:
    _, token, version, *rest = packed
    return _new(FileTask, (token, _new(FileVersion, version), *rest))


def _pack_run(message: Any) -> tuple[Any, ...]:
    *run, file = message
    if file is None:
        return (_RUN, *run, None)
    token, version, *rest = file
    return (_RUN, *run, (token, tuple(version), *rest))


def _unpack_run(packed: tuple[Any, ...]) -> Message:
    _, *run, file = packed
    if file is None:
        return _new(RunReady, packed[1:])
    token, version, *rest = file
    return _new(RunReady, (*run, _new(FileStart, (token, _new(FileVersion, version), *rest))))


_PACKERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    FileFound: _pack_found,
    FileTask: _pack_task,
    RunReady: _pack_run,
}
_UNPACKERS = {_FOUND: _unpack_found, _TASK: _unpack_task, _RUN: _unpack_run, _OTHER: _unpack_other}
