"""The messages of a case: whole versions of files as dfud and OpenMSIStream send them, and anything but that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import xxhash

from tests.fuzz.choices import Choices
from tests.helpers.downloading import Record, native, openmsi

PATHS = (b"f", b"x", b"x/y", b"x/y/z", b"x/w", b"d/e/f", b"caf\xc3\xa9", b"\x1b[2J", b"n" * 255, b"L/LOGS")
SIZES = (0, 1, 3, 4, 5, 9, 12, 13, 40)
CHUNK_SIZES = (4, 1, 3, 7, 64)
MTIMES = (1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 1_600_000_000_000_000_000, 1, -5)

HOSTILE_PATHS = (
    b"h", b"h/i", b"../evil", b"/evil", b"a/../../evil", b"a//b", b"a/./b", b".", b"..", b"", b"a/", b"LOGS",
    b"LOGS/evil", b"logs", b"LOG\xc5\xbf/evil", b"nul\0name", b"h" * 256, b"link/evil", b"fifo",
    b"fifo/evil", b"file/evil",     b"h/" * 3000 + b"h", b"e/" * 1100 + b"e", b"h" * 70_000,
    b"\xff\xfe", b"x\ny", b"link", b"h/\xed\xb2\x80",
)  # fmt: skip
NUMBERS = (
    b"0", b"1", b"2", b"-1", b"-0", b"+1", b"1_0", b" 1", b"1 ", b"1\n", b"01", b"\xd9\xa1", b"1.0", b"1e3",
    b"", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"9" * 5000, b"4", b"12",
)  # fmt: skip
HEADERS = ("upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64", "xxh3_128", "traceparent")
VALUES = (
    b"", b"\x9a", b"\x99", b"\x9a" * 5000, b"\xdd\xff\xff\xff\xff", b"\x9a\xdb\xff\xff\xff\xff",
    b"\x9a\xc7\xff\x01", b"\x9a" + b"\xc1" * 9, b"{}", b"\x9a" + b"\x91" * 4000,
)  # fmt: skip


class Version(NamedTuple):
    """One version of an honest file."""

    path: bytes
    data: bytes
    mtime_ns: int
    chunk_size: int
    is_openmsi: bool

    def records(self) -> list[Record]:
        """Return its messages; OpenMSIStream has none for an empty file, and only for paths that are text."""
        if self.is_openmsi and self.data and self.path.isascii():
            return openmsi(self.path, self.data, self.mtime_ns / 1e9, self.chunk_size)
        return native(self.path, self.data, self.mtime_ns, self.chunk_size)


def choose_version(choices: Choices) -> Version:
    """Return a version; two of the same path, size and time may differ in their bytes."""
    size, fill = choices.of(SIZES), choices.below(3)
    data = bytes((fill * 40 + at * at) % 251 for at in range(size))
    return Version(choices.of(PATHS), data, choices.of(MTIMES), choices.of(CHUNK_SIZES), choices.one_in(3))


def choose_hostile(choices: Choices) -> Record:
    """Return a message that no upload sends."""
    kinds: tuple[Callable[[Choices], Record], ...] = (_foreign, _false_headers, _consistent, _false_items, _claim)
    return choices.of(kinds)(choices)


def _foreign(choices: Choices) -> Record:
    key = None if choices.one_in(3) else choices.of(HOSTILE_PATHS)
    value = choices.of((None, choices.of(VALUES), choices.bytes(20)))
    names = [choices.of(HEADERS) for _ in range(choices.below(9))]
    headers: Any = [(name, choices.of((None, choices.bytes(9), choices.of(NUMBERS)))) for name in names]
    return Record(key, value, headers)


def _changed(choices: Choices, record: Record) -> Record:
    """Return a message with a header more, less, twice, or of another value."""
    headers: list[Any] = list(record.headers)
    at, kind = choices.below(len(headers)), choices.below(5)
    name, value = headers[at]
    if kind == 0:
        headers[at] = name, choices.of(NUMBERS)
    elif kind == 1:
        text = value or b""
        headers[at] = name, choices.of((None, choices.bytes(20), text.upper(), text + b"\n", b"2/1", b"1/2/3"))
    elif kind == 2:
        del headers[at]
    elif kind == 3:
        headers.append(headers[at])
    else:
        headers[at] = name, b"%s/%s" % (choices.of(NUMBERS), choices.of(NUMBERS))
    return record._replace(headers=headers)


def _false_headers(choices: Choices) -> Record:
    """Return a message of an honest file that is wrong in one or two places."""
    version = choose_version(choices)
    record = choices.of(native(version.path, version.data, version.mtime_ns, version.chunk_size))
    for _ in range(1 + choices.below(2)):
        if record.headers:
            record = _changed(choices, record)
    return record


def _consistent(choices: Choices) -> Record:
    """Return a message that is right in itself, but its path."""
    data = b"evil" * (1 + choices.below(3))
    return choices.of(native(choices.of(HOSTILE_PATHS), data, choices.of(MTIMES), choices.of((64, 4))))


def _claim(choices: Choices) -> Record:
    """Return a chunk, right in itself, of a file of any size; or a false one of an honest file."""
    if choices.one_in(2):
        version = choose_version(choices)
        path, size, mtime_ns = version.path, len(version.data), version.mtime_ns
    else:
        path, mtime_ns = b"h", choices.of(MTIMES)
        size = choices.of((8, 1 << 20, 1 << 40, (1 << 63) - 1, 1 << 63))
    value = choices.bytes(8)
    offset = choices.of((0, 1, 4, max(0, size - len(value)), size, (1 << 63) - 1, choices.below(60)))
    n_chunks = choices.of((2, 3, 1, 10, size, (1 << 63) - 1))
    number = choices.of((1, 2, n_chunks, n_chunks + 1, choices.below(12)))
    headers = {
        "upload_id": xxhash.xxh3_64_hexdigest(b"%s\0%d\0%d" % (path, size, mtime_ns)).encode(),
        "chunk": b"%d/%d" % (number, n_chunks),
        "offset": b"%d" % offset,
        "size": b"%d" % size,
        "mtime_ns": b"%d" % mtime_ns,
        "xxh3_64": xxhash.xxh3_64_hexdigest(value).encode(),
    }
    if number == n_chunks:
        headers["xxh3_128"] = choices.of((b"0" * 32, b"F" * 32, xxhash.xxh3_128_hexdigest(value).encode()))
    return Record(path, value, list(headers.items()))


def _false_items(choices: Choices) -> Record:
    """Return a message of OpenMSIStream's with items that it would not send, or bytes that are none of its."""
    path = choices.of((b"h", b"h/i/j"))
    record = choices.of(openmsi(path, b"evil" * 3, choices.of((None, 1.7e9, 1e300, -1.0)), choices.of((64, 4))))
    items: list[Any] = msgspec.msgpack.decode(record.value or b"")
    replacements: tuple[Any, ...] = (
        "../evil", "LOGS", "a/b", "", "\0", 0, -1, 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1, None, True, 1e308,
        float("nan"), float("inf"), [], [[]] * 50, {}, b"", b"\0" * 64, "." * 300, msgspec.msgpack.Ext(5, b"evil"),
    )  # fmt: skip
    for _ in range(1 + choices.below(3)):
        at, kind = choices.below(len(items)), choices.below(4)
        if kind < 2:
            items[at] = choices.of(replacements)
        elif kind == 2:
            items.append(choices.of(replacements))
        elif len(items) > 1:
            del items[at]
    value = msgspec.msgpack.encode(items)
    if choices.one_in(4):
        at = choices.below(len(value))
        value = value[:at] + choices.bytes(3) + value[at + choices.below(3) :]
    return record._replace(value=value)
