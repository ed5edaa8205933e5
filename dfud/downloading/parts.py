"""Parts: versions of files that are not whole yet, each a sparse file and a note beside it in LOGS.

The folder ``LOGS/download_from_T`` holds two files for each: ``<id>.<worker>.<number>.part``, with every piece at
its place, and ``<id>.<worker>.<number>.json``, which says which file it is of and which bytes of it are there. A
note tells only of bytes that were on disk before it was put in place. A name is never used twice, so that a note
that a crash has left over can't be taken for that of another part.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.names import path_fault
from dfud.core.ranges import RangeSet

PART, NOTE, _NEW_NOTE = ".part", ".json", ".new"
_GROUPS = "groups"
_NAME = re.compile(r"([0-9a-f]{32})\.(\d{1,4})\.([0-9a-f]{8})")


class PartName(NamedTuple):
    """The name that a part's two files share."""

    identity: bytes  # 16 bytes, of the version
    worker: int  # that it belongs to: the only one to touch it
    number: str  # 8 random hex digits

    def __str__(self) -> str:
        return f"{self.identity.hex()}.{self.worker}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> PartName | None:
        match = _NAME.fullmatch(text)
        return cls(bytes.fromhex(match[1]), int(match[2]), match[3]) if match else None

    @classmethod
    def new(cls, identity: bytes, worker: int) -> PartName:
        return cls(identity, worker, os.urandom(4).hex())


class PartMetadata(NamedTuple):
    """What is known of a part."""

    path: bytes  # relative, of the file that it is of
    size: int | None  # bytes
    mtime_ns: int | None
    chunk_size: int  # bytes, as far as can be told
    algorithm: str
    digest: str  # of the whole, hex digits; "" if not told yet
    spans: RangeSet  # bytes that are there, counted from 1
    trouble: str = ""  # why it is not in its place though it is whole

    def to_json(self) -> bytes:
        fields = self._asdict()
        fields["path"] = os.fsdecode(self.path)
        fields["spans"] = str(self.spans)
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, text: bytes) -> PartMetadata:
        """Read a note; ValueError if it is none."""
        try:
            fields = json.loads(text)
            fields["path"] = os.fsencode(fields["path"])
            fields["spans"] = RangeSet.parse(fields["spans"])
            note = cls(**fields)
        except (KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise ValueError(str(problem)) from None
        numbers = note.size, note.mtime_ns, note.chunk_size
        if not all(number is None or type(number) is int for number in numbers) or note.chunk_size is None:
            raise ValueError("a number is none")
        if not all(isinstance(text, str) for text in (note.digest, note.trouble)):
            raise ValueError("a text is none")
        if note.algorithm not in (XXH3_128, SHA512) or path_fault(note.path):
            raise ValueError("its algorithm or its path can't be")
        return note


class PartsFolder:
    """The folder of the parts of one topic; every name in it is one of ours."""

    def __init__(self, descriptor: int) -> None:
        """Use the folder that is open at `descriptor`."""
        self.descriptor = descriptor

    def create(self, name: PartName) -> int:
        """Make the file of a new part, open for reading and writing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(f"{name}{PART}", flags, 0o666, dir_fd=self.descriptor)

    def open(self, name: PartName) -> int:
        return os.open(f"{name}{PART}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)

    def write_note(self, name: PartName, text: bytes) -> None:
        """Write a part's note beside the one that holds; a sync and `publish_note` put it in its place."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(f"{name}{_NEW_NOTE}", flags, 0o644, dir_fd=self.descriptor)
        with open(descriptor, "wb") as file:
            file.write(text)

    def publish_note(self, name: PartName) -> None:
        self._rename(f"{name}{_NEW_NOTE}", f"{name}{NOTE}")

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: PartName) -> None:
        """Remove both files of a part, if they are there."""
        self.remove_note(name)
        self._unlink(f"{name}{PART}")

    def remove_note(self, name: PartName) -> None:
        self._unlink(f"{name}{NOTE}")

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def notes(self) -> Iterator[tuple[PartName, PartMetadata]]:
        """Give the parts that have a note, one at a time; a note that can't be read is passed over."""
        for text in os.listdir(self.descriptor):
            name = PartName.parse(text[: -len(NOTE)]) if text.endswith(NOTE) else None
            if name is not None:
                try:
                    yield name, self.note(name)
                except (OSError, ValueError):
                    continue

    def note(self, name: PartName) -> PartMetadata:
        """Return a part's note; OSError or ValueError if there is none that can be read."""
        descriptor = os.open(f"{name}{NOTE}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)
        with open(descriptor, "rb") as file:
            return PartMetadata.from_json(file.read())

    def tidy(self) -> None:
        """Remove what a crash has left over: parts without a note, notes without a part, unpublished notes.

        The chunks of a part without a note are still to be read: nothing after them was committed.
        """
        names = set(os.listdir(self.descriptor))
        for text in names:
            stem, end = os.path.splitext(text)
            other = {PART: NOTE, NOTE: PART, _NEW_NOTE: ""}.get(end)
            if other is not None and PartName.parse(stem) and (not other or stem + other not in names):
                self._unlink(text)

    def hand_over(self, workers: int) -> None:
        """Give the parts of workers that there are no longer to those that there are."""
        for text in os.listdir(self.descriptor):
            stem, end = os.path.splitext(text)
            name = PartName.parse(stem)
            if name is not None and name.worker >= workers and end == NOTE:
                heir = name._replace(worker=name.worker % workers)
                # A crash in between has left some of it done.
                with contextlib.suppress(FileExistsError):
                    folder = self.descriptor
                    os.link(f"{name}{NOTE}", f"{heir}{NOTE}", src_dir_fd=folder, dst_dir_fd=folder)
                with contextlib.suppress(FileNotFoundError):
                    self._rename(f"{name}{PART}", f"{heir}{PART}")
                self._unlink(f"{name}{NOTE}")

    # -- the consumer groups that have read into this directory

    def groups(self) -> list[str]:
        """Return their names."""
        try:
            descriptor = os.open(_GROUPS, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)
        except FileNotFoundError:
            return []
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()

    def add_group(self, name: str) -> None:
        """Note that a group reads into this directory; the note is on disk on return."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(_GROUPS, flags, 0o644, dir_fd=self.descriptor)
        with open(descriptor, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.fsync(self.descriptor)
