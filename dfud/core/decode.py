"""From a message of a topic to the chunk that it holds, in either format."""

from __future__ import annotations

from collections.abc import Sequence

from dfud.core import openmsistream
from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.names import path_fault
from dfud.core.native import is_native, read_native

Headers = Sequence[tuple[str, "bytes | None"]]

_OPENMSI_STARTS = (b"\x99", b"\x9a")  # a MessagePack array of nine or ten items


def read_chunk(key: bytes | None, value: bytes | None, headers: Headers | None) -> Chunk:
    """Return the chunk in a message, its path checked to be safe.

    Raises ForeignMessageError for a message that is not a chunk, BadMessageError for a chunk that cannot be true.
    """
    if headers and is_native(headers):
        if key is None or value is None:
            raise BadMessageError("it has no key" if key is None else "it has no value")
        chunk = read_native(key, value, headers)
    elif value and value[:1] in _OPENMSI_STARTS:
        chunk = openmsistream.decode(value)
    else:
        raise ForeignMessageError
    fault = path_fault(chunk.path)
    if fault:
        raise BadMessageError(f"its path cannot be used: {fault}")
    return chunk
