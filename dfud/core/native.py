"""The native messages: the bytes of a chunk as the value, and what a reader needs to know in readable headers.

The format is described in docs/messages.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Union

import xxhash

from dfud.core.chunk import XXH3_128, BadMessageError, Chunk
from dfud.core.chunking import count_chunks
from dfud.core.version import FileVersion

Headers = list[tuple[str, Union[str, bytes, None]]]  # as confluent_kafka takes them

# The bytes of a message beside its value: record batch header (61), record framing (15), all headers (190), and a
# path of several hundred bytes. A longer path makes its own file fail, for the reason that the broker gives.
MESSAGE_OVERHEAD = 1024

_DIGEST = re.compile(rb"[0-9a-f]{32}")
_ONLY_CHUNK, _AT_START = ("chunk", b"1/1"), ("offset", b"0")
_INT64_MAX, _MAX_DIGITS = (1 << 63) - 1, 19  # of a size, an offset or a time
_NEEDED = ("upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64")
CHUNK_HEADERS = (*_NEEDED, "xxh3_128")  # all that say something about a chunk


def is_native(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Return whether a message claims to be in dfud's own format."""
    names = [name for name, _ in headers]
    return "upload_id" in names and "chunk" in names


def read_native(key: bytes, value: bytes, headers: Sequence[tuple[str, bytes | None]]) -> Chunk:
    """Return the chunk that a message holds; whether its key is a safe path is not checked.

    No memory is taken for what the headers claim. Raises BadMessageError, which says why, if they cannot be true.
    """
    values = dict(headers)
    if len(values) != len(headers):  # those of others, such as of a tracer, may be there twice
        names = [name for name, _ in headers]
        if any(names.count(name) > 1 for name in CHUNK_HEADERS):
            raise BadMessageError("it has a header twice")
    for name in _NEEDED:
        if type(values.get(name)) is not bytes:
            raise BadMessageError(f"it has no header {name}")
    size = _number("size", values["size"], 0)
    mtime_ns = _number("mtime_ns", values["mtime_ns"], -_INT64_MAX)
    offset = _number("offset", values["offset"], 0)
    first, slash, last = (values["chunk"] or b"").partition(b"/")
    if not slash:
        raise BadMessageError("its header chunk is not i/n")
    number, n_chunks = _number("chunk", first, 1), _number("chunk", last, 1)
    digest = values.get("xxh3_128") or b""
    if digest and _DIGEST.fullmatch(digest) is None:
        raise BadMessageError("its header xxh3_128 is not 32 hex digits")
    if values["upload_id"] != FileVersion(key, size, mtime_ns).upload_id():
        raise BadMessageError("its upload_id does not match its key, size and mtime_ns")
    if values["xxh3_64"] != xxhash.xxh3_64_hexdigest(value).encode():
        raise BadMessageError("its value does not match its xxh3_64")
    return Chunk(key, size, mtime_ns, number, n_chunks, offset, XXH3_128, digest.decode(), value).checked()


def _number(name: str, text: bytes | None, least: int) -> int:
    text = text or b""
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _MAX_DIGITS or not least <= int(text) <= _INT64_MAX:
        raise BadMessageError(f"its header {name} is not a number that a file can have")
    return int(text)


def header_maker(version: FileVersion, chunk_size: int) -> Callable[[int, bytes], Headers]:
    """Return a function of (chunk number, hex digits of its xxh3_64) that returns the headers of that chunk.

    What all chunks of a file share is encoded only once. The ``xxh3_128`` of the last chunk is appended by the
    caller, who knows it only when the whole file was read.
    """
    upload_id = ("upload_id", version.upload_id())
    size = ("size", b"%d" % version.size)
    mtime_ns = ("mtime_ns", b"%d" % version.mtime_ns)
    if version.size <= chunk_size:
        return lambda _, xxh3_64: [upload_id, _ONLY_CHUNK, _AT_START, size, mtime_ns, ("xxh3_64", xxh3_64)]
    of_all = f"/{count_chunks(version.size, chunk_size)}"

    def headers(number: int, xxh3_64: bytes) -> Headers:
        return [
            upload_id,
            ("chunk", f"{number}{of_all}".encode()),
            ("offset", f"{(number - 1) * chunk_size}".encode()),
            size,
            mtime_ns,
            ("xxh3_64", xxh3_64),
        ]

    return headers
