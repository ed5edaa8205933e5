"""The messages of OpenMSIStream: one msgpack list a chunk, with the SHA-512 of the chunk and of its whole file.

Its ten items: the file's name, the SHA-512 of the file, that of the chunk, the chunk's byte offset, its number
(1-based), the number of chunks, the folder ("/"-separated, "" at the top), a text to be put behind the name's
stem (always "" from us), the bytes of the chunk, and the file's mtime (float seconds; older versions leave it
out). OpenMSIStream sends no message for an empty file; we send one chunk of no bytes, which it takes.

Encoding is done here by hand, because all but three items are the same in each chunk of a file and the bytes
are then copied once, as they are for a native message. What comes from a topic is decoded by the library.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from typing import NamedTuple

import msgpack

from dfud.core.chunking import count_chunks
from dfud.core.version import FileVersion

DIGEST_BYTES = 64  # of a SHA-512
_ITEMS = 10
_INT64_MAX = (1 << 63) - 1  # of an offset or a number of chunks


class OpenMSIChunk(NamedTuple):
    """One message, understood and found intact; nothing is known of whether its path is a safe one."""

    path: bytes  # relative, "/"-separated, as the sender wrote it
    number: int  # 1-based
    n_chunks: int
    offset: int  # bytes from the start of the file
    file_sha512: bytes  # of the whole file, as the sender states it
    mtime: float  # s since 1970-01-01 UTC; 0.0 where it is not told
    data: bytes


def message_key(path: bytes, number: int, n_chunks: int) -> bytes:
    """Return the key of a chunk: the folders joined by "_", the name, and which chunk it is.

    OpenMSIStream 1.8.8 itself writes "_chunk_" before the number. Its download does not look at keys; a stream
    processor of its that is started again finds the messages of unfinished files by theirs.

    >>> message_key(b"scans/day_1/a.tif", 2, 3)
    b'scans_day_1_a.tif_2_of_3'
    >>> message_key(b"a.tif", 1, 1)
    b'_a.tif_1_of_1'
    """
    folder, _, name = path.rpartition(b"/")
    return b"%b_%b_%d_of_%d" % (folder.replace(b"/", b"_"), name, number, n_chunks)


def encoder(version: FileVersion, chunk_size: int, file_sha512: bytes) -> Callable[[int, bytes, bytes], bytes]:
    """Return a function of (chunk number, SHA-512 of the chunk, its bytes) that gives the message's value."""
    n_chunks = count_chunks(version.size, chunk_size)
    folder, _, name = version.path.rpartition(b"/")
    head = b"\x9a" + _text(name) + _DIGEST + file_sha512 + _DIGEST
    middle = _whole(n_chunks) + _text(folder) + _text(b"")
    tail = b"\xcb" + struct.pack(">d", mtime_seconds(version.mtime_ns))

    def encode(number: int, sha512: bytes, data: bytes) -> bytes:
        place = _whole((number - 1) * chunk_size) + _whole(number)
        return b"".join((head, sha512, place, middle, _binary_header(len(data)), data, tail))

    return encode


def decode(value: bytes) -> OpenMSIChunk:
    """Read a message's value; ValueError, which says why, for anything that OpenMSIStream would not have sent.

    No value takes more memory than a few times its own length, whatever it claims.
    """
    try:
        # Without these limits a few bytes can claim, and get, lists of a million items within one another.
        items = msgpack.unpackb(value, raw=True, use_list=True, max_array_len=_ITEMS, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException) as problem:
        raise ValueError(f"it is no msgpack list: {problem or type(problem).__name__}") from None
    if not isinstance(items, list) or len(items) not in (_ITEMS - 1, _ITEMS):
        raise ValueError("it is no list of nine or ten items")
    name, file_sha512, sha512, offset, number, n_chunks, folder, append, data = items[:9]
    mtime = items[9] if len(items) == _ITEMS else 0.0
    if not all(type(item) is bytes for item in (name, file_sha512, sha512, folder, append, data)):
        raise ValueError("a name, a digest or the data is of the wrong type")
    if not all(type(item) is int and 0 <= item <= _INT64_MAX for item in (offset, number, n_chunks)):
        raise ValueError("an offset or a number of chunks is none")
    if not 1 <= number <= n_chunks:
        raise ValueError(f"there is no chunk {number} of {n_chunks}")
    if type(mtime) not in (float, int) or not math.isfinite(mtime):
        raise ValueError("the mtime is no time")
    if len(file_sha512) != DIGEST_BYTES or hashlib.sha512(data).digest() != sha512:
        raise ValueError("the data is not that of its SHA-512")
    path = _appended(name, append)
    if folder not in (b"", b"."):
        path = folder + b"/" + path
    return OpenMSIChunk(path, number, n_chunks, offset, file_sha512, float(mtime), data)


def mtime_seconds(mtime_ns: int) -> float:
    """Return the time as `os.stat` gives it in seconds, to the last bit."""
    seconds, nanoseconds = divmod(mtime_ns, 1_000_000_000)
    return seconds + 1e-9 * nanoseconds


def _appended(name: bytes, append: bytes) -> bytes:
    """Put `append` behind the stem of `name`, which is all before its last dot (but a leading one is no end)."""
    if not append:
        return name
    stem, dot, suffix = name.rpartition(b".")
    return stem + append + dot + suffix if stem and suffix else name + append


# -- msgpack's smallest forms, as its library chooses them

_DIGEST = b"\xc4" + bytes([DIGEST_BYTES])


def _whole(number: int) -> bytes:
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
