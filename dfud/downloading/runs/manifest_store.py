"""The messages of manifests, on disk until their runs are in their places: their offsets are committed before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable

import msgspec
import xxhash

from dfud.core.manifest import MAX_PART_BYTES, ManifestPart, RawHeaders, is_manifest
from dfud.core.names import MAX_PATH_BYTES
from dfud.core.sent import Sent
from dfud.files.atomic import replace_file
from dfud.files.open_folder import open_regular

_SUFFIX = ".manifest"
_OURS = "manifest"  # with which the names of their headers begin
_MAX_BYTES = MAX_PART_BYTES + MAX_PATH_BYTES + 4096


class _Record(msgspec.Struct, array_like=True):
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    sent: str


class ManifestStore:
    """Responsible for one folder of such messages, each in a file that is named for its place on the topic."""

    def __init__(self, dir_fd: int) -> None:
        """Use the folder that is open as `dir_fd`, which stays the caller's."""
        self._dir_fd = dir_fd

    def add(self, key: bytes, value: bytes, headers: RawHeaders, sent: Sent) -> None:
        """Keep a message. It survives a kill at once, and a power cut from the next sync on."""
        ours = [(name, text or b"") for name, text in headers if name.startswith(_OURS)]
        record = msgspec.msgpack.encode(_Record(key, value, ours, str(sent)))
        name = xxhash.xxh3_128_hexdigest(str(sent).encode()) + _SUFFIX
        replace_file(self._dir_fd, name, [record], durable=False)

    def names(self) -> list[str]:
        """Return the names of the files."""
        return [name for name in os.listdir(self._dir_fd) if name.endswith(_SUFFIX) and not name.startswith(".")]

    def read(self, name: str) -> tuple[ManifestPart, Sent]:
        """Return a message, and where it was sent; OSError, or ValueError for what no download has written."""
        with open(open_regular(name, os.O_RDONLY, self._dir_fd), "rb") as file:
            text = file.read(_MAX_BYTES + 1)
        try:
            record = msgspec.msgpack.decode(text, type=_Record)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        sent = Sent.parse(record.sent)
        if sent is None:
            raise ValueError("it does not say where it was sent")
        return ManifestPart.decode(record.key, record.value, record.headers), sent

    def remove_leftovers(self) -> None:
        """Remove what a kill has left of messages that were about to be kept: they will be read again."""
        self.remove(name for name in os.listdir(self._dir_fd) if name.startswith("."))

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._dir_fd)


class ManifestIntake:
    """Responsible for what a fetcher does with the messages of manifests."""

    def __init__(self, store: ManifestStore, accepts: Callable[[bytes], bool]) -> None:
        """Keep in `store` those of runs of which `accepts` returns True for the path of the marker."""
        self._store = store
        self._accepts = accepts

    def take(self, key: bytes | None, value: bytes | None, headers: RawHeaders | None, sent: Sent) -> bool:
        """Keep a message if it is of a manifest; return whether it is.

        Raises ValueError if it cannot be used, and OSError.
        """
        if headers is None or not is_manifest(headers):
            return False
        part = ManifestPart.decode(key, value, headers)
        assert key is not None  # it was decoded
        assert value is not None
        if self._accepts(part.head.marker.path):
            self._store.add(key, value, headers, sent)
        return True
