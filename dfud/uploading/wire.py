"""The two wire formats: how a file is read for each, and what its messages are made of.

One of the two is chosen at the start, and handed to chunkers and producers: neither knows which it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple, Optional, Protocol

import xxhash

from dfud.core.chunking import count_chunks
from dfud.core.native import Headers, header_maker
from dfud.core.openmsistream import encoder, message_key
from dfud.messages import FileStart
from dfud.uploading.file_reader import FileReader
from dfud.uploading.hash_first_reader import HashFirstReader

KafkaMessageParts = tuple[bytes, bytes, Optional[Headers]]  # value, key and headers, as a producer takes them


class UnsendableFileError(Exception):
    """The wire format has no messages for this file; the text says why."""


class FileMessages(Protocol):
    """The messages of one version of one file."""

    def message(self, number: int, data: bytes, digest: bytes, whole: str) -> KafkaMessageParts:
        """Return the message of chunk `number`: its bytes, what the chunker computed of it, and of the file.

        `whole` is the xxh3_128 of the file, which is only known for the last chunk.
        """
        ...

    def again(self, number: int, value: bytes, whole: str) -> KafkaMessageParts:
        """Return the message of chunk `number` of which `value` was the value."""
        ...


class WireFormat(NamedTuple):
    """What is different between the formats."""

    reading: type[FileReader]  # how a chunker reads a file
    messages: Callable[[FileStart], FileMessages]  # for a producer; raises UnsendableFileError


class NativeMessages:
    """dfud's own messages: the bytes of the chunk, and headers."""

    __slots__ = ("_headers", "_key", "_last")

    def __init__(self, start: FileStart) -> None:
        self._key = start.version.path
        self._last = count_chunks(start.version.size, start.chunk_size)
        self._headers = header_maker(start.version, start.chunk_size)

    def message(self, number: int, data: bytes, digest: bytes, whole: str) -> KafkaMessageParts:
        headers = self._headers(number, digest)
        if number == self._last:
            headers.append(("xxh3_128", whole.encode()))
        return data, self._key, headers

    def again(self, number: int, value: bytes, whole: str) -> KafkaMessageParts:
        return self.message(number, value, xxhash.xxh3_64_hexdigest(value).encode(), whole)


class OpenMSIStreamMessages:
    """OpenMSIStream's messages. The SHA-512 of a chunk is computed here, for the chunker has that of the file."""

    __slots__ = ("_encode", "_n_chunks", "_path")

    def __init__(self, start: FileStart) -> None:
        self._path = start.version.path
        self._n_chunks = count_chunks(start.version.size, start.chunk_size)
        self._encode = encoder(start.version, start.chunk_size, start.sha512)
        try:
            self._path.decode("utf-8")
        except UnicodeDecodeError:
            raise UnsendableFileError(
                "its name is not UTF-8, and no OpenMSIStream could read its messages"
            ) from None

    def message(self, number: int, data: bytes, digest: bytes, whole: str) -> KafkaMessageParts:
        value = self._encode(number, hashlib.sha512(data).digest(), data)
        return value, message_key(self._path, number, self._n_chunks), None

    def again(self, number: int, value: bytes, whole: str) -> KafkaMessageParts:
        return value, message_key(self._path, number, self._n_chunks), None


NATIVE = WireFormat(FileReader, NativeMessages)
OPENMSISTREAM = WireFormat(HashFirstReader, OpenMSIStreamMessages)
WIRE_FORMATS = {"native": NATIVE, "openmsistream": OPENMSISTREAM}  # by the name that the configuration gives
