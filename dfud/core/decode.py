"""From a message of a topic to the chunk that it holds, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence

from dfud.core import openmsistream
from dfud.core.chunk import SHA512, BadMessageError, Chunk, ForeignMessageError
from dfud.core.names import path_fault
from dfud.core.native import is_native, read_native

Headers = Sequence[tuple[str, "bytes | None"]]

_LATEST = 9_000_000_000  # s; nanoseconds of it have 63 bits
_OPENMSI_STARTS = (b"\x99", b"\x9a")  # a msgpack list of nine or ten items


def read_piece(key: bytes | None, value: bytes | None, headers: Headers | None) -> Chunk:
    """Return the chunk in a message, its path found to be a safe one.

    Raises ForeignMessageError for a message that is no chunk, BadMessageError for one that can't be a true one.
    """
    if headers and is_native(headers):
        if key is None or value is None:
            raise BadMessageError("it has no key" if key is None else "it has no value")
        piece = read_native(key, value, headers)
    elif value and value[:1] in _OPENMSI_STARTS:
        piece = _read_openmsistream(value)
    else:
        raise ForeignMessageError
    fault = path_fault(piece.path)
    if fault:
        raise BadMessageError(f"its path can't be used: {fault}")
    return piece


def _read_openmsistream(value: bytes) -> Chunk:
    try:
        chunk = openmsistream.decode(value)
    except ValueError:
        raise ForeignMessageError from None
    size = chunk.offset + len(chunk.data) if chunk.number == chunk.n_chunks else None
    mtime_ns = _nanoseconds(chunk.mtime) if chunk.mtime else None
    return Chunk(
        chunk.path,
        size,
        mtime_ns,
        chunk.number,
        chunk.n_chunks,
        chunk.offset,
        SHA512,
        chunk.file_sha512.hex(),
        chunk.data,
    ).checked()


def _nanoseconds(seconds: float) -> int:
    if abs(seconds) > _LATEST:
        raise BadMessageError("its mtime is no time that a file can have")
    return round(seconds * 1_000_000_000)
