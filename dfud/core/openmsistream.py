"""The messages of OpenMSIStream: a MessagePack array per chunk, with the SHA-512 of the chunk and of its file.

Its ten items: the file's name, the SHA-512 of the file, that of the chunk, the chunk's offset in bytes, its number
(1-based), the number of chunks, the folder ("/"-separated, "" at the top), a text to insert after the name's stem
(always "" from dfud), the bytes of the chunk, and the file's mtime (float, seconds; older versions omit it).
OpenMSIStream sends no message for an empty file; dfud sends one chunk of no bytes, which OpenMSIStream accepts.

Messages are encoded by hand because all but four items are the same in each chunk of a file, so that the bytes are
copied only once. They are decoded by msgspec, which checks the type of every item.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from typing import Annotated

import msgspec

from dfud.core.chunk import SHA512, BadMessageError, Chunk, ForeignMessageError
from dfud.core.chunking import count_chunks
from dfud.core.version import FileVersion

DIGEST_BYTES = 64  # of a SHA-512
_MAX_MTIME_S = 9_000_000_000  # its nanoseconds fit into 63 bits
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class _Message(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """The items of a message, as the module's docstring lists them."""

    name: str
    file_sha512: bytes
    sha512: bytes
    offset: _Count
    number: _Count
    n_chunks: _Count
    folder: str
    append: str
    data: bytes
    mtime: float = 0.0


_unpack = msgspec.msgpack.Decoder(_Message).decode


def message_key(path: bytes, number: int, n_chunks: int) -> bytes:
    """Return the key of a chunk: its folders joined by "_", its name, and its number.

    OpenMSIStream's download ignores keys; its stream processors use them, after a restart, to find the messages of
    unfinished files.

    >>> message_key(b"scans/day_1/a.tif", 2, 3)
    b'scans_day_1_a.tif_chunk_2_of_3'
    >>> message_key(b"a.tif", 1, 1)
    b'_a.tif_chunk_1_of_1'
    """
    folder, _, name = path.rpartition(b"/")
    return b"%b_%b_chunk_%d_of_%d" % (folder.replace(b"/", b"_"), name, number, n_chunks)


def encoder(version: FileVersion, chunk_size: int, file_sha512: bytes) -> Callable[[int, bytes, bytes], bytes]:
    """Return a function of (chunk number, SHA-512 of the chunk, its bytes) that returns the message's value."""
    n_chunks = count_chunks(version.size, chunk_size)
    folder, _, name = version.path.rpartition(b"/")
    head = b"\x9a" + _text(name) + _DIGEST + file_sha512 + _DIGEST
    middle = _integer(n_chunks) + _text(folder) + _text(b"")
    tail = b"\xcb" + struct.pack(">d", mtime_seconds(version.mtime_ns))

    def encode(number: int, sha512: bytes, data: bytes) -> bytes:
        place = _integer((number - 1) * chunk_size) + _integer(number)
        return b"".join((head, sha512, place, middle, _binary_header(len(data)), data, tail))

    return encode


def decode(value: bytes) -> Chunk:
    """Return the chunk that a message holds; nothing is known of whether its path is safe.

    No value takes more memory than a few times its own length, whatever it claims. Raises ForeignMessageError for
    anything that OpenMSIStream would not have sent, BadMessageError for a chunk that contradicts itself.
    """
    try:
        message = _unpack(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignMessageError(f"not a message of OpenMSIStream: {error}") from None
    number, n_chunks, data = message.number, message.n_chunks, message.data
    if not 1 <= number <= n_chunks:
        raise ForeignMessageError(f"there is no chunk {number} of {n_chunks}")
    if not math.isfinite(message.mtime):
        raise ForeignMessageError("the mtime is not a time")
    if len(message.file_sha512) != DIGEST_BYTES or hashlib.sha512(data).digest() != message.sha512:
        raise ForeignMessageError("the data does not match its SHA-512")
    if abs(message.mtime) > _MAX_MTIME_S:
        raise BadMessageError("its mtime is not one that a file can have")
    path = _with_appended(message.name, message.append)
    if message.folder not in ("", "."):
        path = f"{message.folder}/{path}"
    return Chunk(
        path.encode(),
        message.offset + len(data) if number == n_chunks else None,
        round(message.mtime * 1_000_000_000) if message.mtime else None,
        number,
        n_chunks,
        message.offset,
        SHA512,
        message.file_sha512.hex(),
        data,
    ).checked()


def mtime_seconds(mtime_ns: int) -> float:
    """Return the time in seconds, with the rounding of `os.stat`."""
    seconds, nanoseconds = divmod(mtime_ns, 1_000_000_000)
    return seconds + 1e-9 * nanoseconds


def _with_appended(name: str, append: str) -> str:
    """Insert `append` after the stem of `name`: before its last dot, unless that leads or ends the name."""
    if not append:
        return name
    stem, dot, suffix = name.rpartition(".")
    return stem + append + dot + suffix if stem and suffix else name + append


# -- the smallest form of each type, as a MessagePack library chooses it

_DIGEST = b"\xc4" + bytes([DIGEST_BYTES])


def _integer(number: int) -> bytes:
    if number < 1 << 7:
        return bytes((number,))
    if number < 1 << 8:
        return b"\xcc" + bytes((number,))
    if number < 1 << 16:
        return b"\xcd" + number.to_bytes(2, "big")
    if number < 1 << 32:
        return b"\xce" + number.to_bytes(4, "big")
    return b"\xcf" + number.to_bytes(8, "big")


def _text(text: bytes) -> bytes:
    length = len(text)
    if length < 1 << 5:
        return bytes((0xA0 | length,)) + text
    if length < 1 << 8:
        return b"\xd9" + bytes((length,)) + text
    return b"\xda" + length.to_bytes(2, "big") + text  # a path is shorter than 64 KiB


def _binary_header(length: int) -> bytes:
    if length < 1 << 8:
        return b"\xc4" + bytes((length,))
    if length < 1 << 16:
        return b"\xc5" + length.to_bytes(2, "big")
    return b"\xc6" + length.to_bytes(4, "big")
