"""The two wire formats: how a file is read for each, and what its messages consist of.

One of them is chosen at the start and passed to chunkers and producers, which do not know which one it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Optional, Protocol

import xxhash

from dfud.core.chunking import count_chunks
from dfud.core.native import Headers, header_maker
from dfud.core.openmsistream import encoder, message_key
from dfud.core.user_headers import UserHeaders, header_bytes
from dfud.messages import FileStart
from dfud.uploading.file_reader import FileReader
from dfud.uploading.hash_first_reader import HashFirstReader

KafkaMessageParts = tuple[bytes, bytes, Optional[Headers]]  # value, key and headers, as `produce` takes them


class UnsendableFileError(Exception):
    """The wire format has no messages for this file; the text says why."""


class FileMessages(Protocol):
    """The messages of one version of one file."""

    def message(self, number: int, data: bytes, digest: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the message of chunk `number`, given its bytes and their xxh3_64 (hex digits).

        `xxh3_128` is that of the file, and needed for the last chunk only.
        """
        ...

    def rebuild(self, number: int, value: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the message of chunk `number` again, given its value."""
        ...


class WireFormat(NamedTuple):
    """What differs between the formats."""

    reading: type[FileReader]  # how a chunker reads a file
    messages: Callable[[FileStart], FileMessages]  # for a producer; raises UnsendableFileError
    more_headers: UserHeaders = ()  # that each message has besides

    @property
    def is_openmsistream(self) -> bool:
        """Whether the messages are those of OpenMSIStream."""
        return self.reading is HashFirstReader

    @property
    def more_bytes(self) -> int:
        """By how many bytes `more_headers` make each message longer, at most."""
        return header_bytes(self.more_headers)


class NativeMessages:
    """dfud's own messages: the bytes of the chunk, and headers."""

    __slots__ = ("_headers", "_key", "_last")

    def __init__(self, start: FileStart) -> None:
        self._key = start.version.path
        self._last = count_chunks(start.version.size, start.chunk_size)
        self._headers = header_maker(start.version, start.chunk_size)

    def message(self, number: int, data: bytes, digest: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the bytes of the chunk with its headers; the last chunk's include the file's digest."""
        headers = self._headers(number, digest)
        if number == self._last:
            headers.append(("xxh3_128", xxh3_128.encode()))
        return data, self._key, headers

    def rebuild(self, number: int, value: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the same message again; the value is the bytes of the chunk."""
        return self.message(number, value, xxhash.xxh3_64_hexdigest(value).encode(), xxh3_128)


class OpenMSIStreamMessages:
    """OpenMSIStream's messages.

    The SHA-512 of a chunk is computed in the producer process, because the chunker computes that of the file.
    """

    __slots__ = ("_encode", "_n_chunks", "_path")

    def __init__(self, start: FileStart) -> None:
        """Raise UnsendableFileError if the path is not UTF-8."""
        self._path = start.version.path
        self._n_chunks = count_chunks(start.version.size, start.chunk_size)
        self._encode = encoder(start.version, start.chunk_size, start.sha512)
        try:
            self._path.decode("utf-8")
        except UnicodeDecodeError:
            raise UnsendableFileError("its name is not UTF-8, which OpenMSIStream cannot read") from None

    def message(self, number: int, data: bytes, digest: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return OpenMSIStream's MessagePack of the chunk; it has no headers."""
        value = self._encode(number, hashlib.sha512(data).digest(), data)
        return value, message_key(self._path, number, self._n_chunks), None

    def rebuild(self, number: int, value: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the same message again."""
        return value, message_key(self._path, number, self._n_chunks), None


class MessagesWithHeaders:
    """The messages of either format, with headers of the user's own after the others."""

    __slots__ = ("_headers", "_messages")

    def __init__(
        self, make_messages: Callable[[FileStart], FileMessages], headers: UserHeaders, start: FileStart
    ) -> None:
        """Add `headers` to what `make_messages` makes; UnsendableFileError if that raises it."""
        self._messages = make_messages(start)
        self._headers = headers

    def message(self, number: int, data: bytes, digest: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the format's message with the headers."""
        return self._with_headers(self._messages.message(number, data, digest, xxh3_128))

    def rebuild(self, number: int, value: bytes, xxh3_128: str) -> KafkaMessageParts:
        """Return the same message again."""
        return self._with_headers(self._messages.rebuild(number, value, xxh3_128))

    def _with_headers(self, parts: KafkaMessageParts) -> KafkaMessageParts:
        value, key, headers = parts
        return value, key, [*(headers or ()), *self._headers]


def with_headers(wire: WireFormat, headers: UserHeaders) -> WireFormat:
    """Return `wire` with `headers` in each of its messages."""
    if not headers:
        return wire
    return WireFormat(wire.reading, partial(MessagesWithHeaders, wire.messages, headers), headers)


NATIVE = WireFormat(FileReader, NativeMessages)
OPENMSISTREAM = WireFormat(HashFirstReader, OpenMSIStreamMessages)
WIRE_FORMATS = {"native": NATIVE, "openmsistream": OPENMSISTREAM}  # by their names in the configuration file
