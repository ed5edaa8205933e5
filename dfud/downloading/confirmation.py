"""Owing receipts of files that are in place already, when their messages are read again."""

from __future__ import annotations

import contextlib
import os

from dfud.core.assembly import new_hasher
from dfud.core.chunk import Chunk
from dfud.core.sent import Sent
from dfud.downloading.owed_receipts import OwedReceipts, Read
from dfud.downloading.part import Part
from dfud.downloading.part_files import PartFiles
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.placed import read_sent
from dfud.files.confined import ConfinedTree

_BLOCK_BYTES = 1 << 20  # hashed at a time
_MAX_DIGESTS = 10_000  # that are remembered


class Confirmation:
    """Responsible for comparing what earlier runs, or earlier messages, have put in place."""

    def __init__(self, tree: ConfinedTree, folder: PartsFolder, files: PartFiles, receipts: OwedReceipts) -> None:
        """Confirm to `receipts` what is in place below `tree`."""
        self._tree = tree
        self._folder = folder
        self._files = files
        self._receipts = receipts
        self._earlier_digests: dict[tuple[int, int, int, str], str] = {}  # by device, inode, ctime and algorithm

    def confirm_file(self, chunk: Chunk, topic_id: str) -> None:
        """Owe the receipt of a file in place that has the bytes of its only chunk."""
        data = chunk.data

        def read(length: int, offset: int) -> bytes:
            return data[offset : offset + length]

        digests = self._receipts.digests(chunk.algorithm, chunk.digest, read, len(data))
        if digests is not None:
            self._receipts.add(chunk.path, len(data), chunk.mtime_ns, digests, topic_id)

    def confirm_part(self, part: Part, sent: Sent) -> None:
        """Owe the receipt of a file in place, once its digest is known, or no more of its chunks can follow.

        That is once only, however often its chunks are read again.
        """
        assembly = part.assembly
        if part.is_confirmed or assembly.size is None or not (assembly.digest or sent == part.placed):
            return
        part.is_confirmed = True

        def read(length: int, offset: int) -> bytes:
            return self._files.read(part, length, offset)

        if not assembly.digest:
            digests = self._receipts.hash(read, assembly.size)
        elif assembly.verify(read):
            digests = self._receipts.digests(part.algorithm, assembly.digest, read, assembly.size)
        else:
            assembly.restart_hash()
            return
        if digests is not None:
            self._receipts.add(part.path, assembly.size, part.mtime_ns, digests, sent.topic_id)

    def confirm_earlier(self, name: PartName, metadata: PartMetadata) -> None:
        """Owe the receipt of a file whose part has left its metadata: a crash came before the receipt was sent.

        If another file is there now, or none, the metadata is removed. What it lacks was not committed.
        """
        with contextlib.suppress(OSError):
            descriptor = self._tree.open(metadata.path)
            try:
                if self._owe_open(descriptor, name, metadata):
                    return
            finally:
                os.close(descriptor)
        self._folder.remove_metadata(name)

    def _owe_open(self, descriptor: int, name: PartName, metadata: PartMetadata) -> bool:
        status = os.fstat(descriptor)
        if status.st_mtime_ns != metadata.mtime_ns or metadata.size not in (None, status.st_size):
            return False

        def read(length: int, offset: int) -> bytes:
            return os.pread(descriptor, length, offset)

        if self._digest(status, metadata.algorithm, read) != metadata.digest:
            return False
        digests = self._receipts.digests(metadata.algorithm, metadata.digest, read, status.st_size)
        sent = read_sent(descriptor)
        if digests is None:
            return False
        topic_id = sent.topic_id if sent else ""
        self._receipts.add(metadata.path, status.st_size, metadata.mtime_ns, digests, topic_id, name)
        return True

    def _digest(self, status: os.stat_result, algorithm: str, read: Read) -> str:
        """Return the digest of a file, which is read once, however many parts a stranger makes for its path."""
        key = status.st_dev, status.st_ino, status.st_ctime_ns, algorithm
        if key not in self._earlier_digests:
            if len(self._earlier_digests) >= _MAX_DIGESTS:
                self._earlier_digests.clear()
            hasher, offset = new_hasher(algorithm), 0
            while data := read(_BLOCK_BYTES, offset):
                hasher.update(data)
                offset += len(data)
            self._earlier_digests[key] = hasher.hexdigest()
        return self._earlier_digests[key]
