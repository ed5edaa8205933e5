"""From a message of a topic to the chunk that it holds, in either format."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from dfud.core import openmsistream
from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.names import path_fault
from dfud.core.native import is_native, read_native

Headers = Sequence[tuple[str, "bytes | None"]]

# Returns the headers of a message. For a name that is not UTF-8 confluent_kafka returns a broken list, and sets an
# exception. This call raises it; `message.headers()` does not once Python has specialized it, and crashes later.
get_headers = operator.methodcaller("headers")
NOT_UTF_8 = (UnicodeDecodeError, SystemError)  # what `get_headers` raises then
_OPENMSI_STARTS = (b"\x99", b"\x9a")  # a MessagePack array of nine or ten items


def headers_of(message: Any) -> Headers | None:
    """Return the headers of a message of confluent_kafka; None if the name of one of them is not UTF-8.

    dfud sends no such name.
    """
    try:
        headers: Headers | None = get_headers(message)
    except NOT_UTF_8:
        return None
    return headers


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
