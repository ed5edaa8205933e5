"""The files that may go once there are receipts of them: those in the directory that are recorded as uploaded."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.version import PATH_KEY_BYTES, FileVersion, path_key
from dfud.files.scan import ScannedFile
from dfud.logs.completed.index import RecordIndex
from dfud.releasing.decision import Evidence

_DIGEST_BYTES = 16


class Candidate(NamedTuple):
    """A file as it was found, and the bytes that it should have."""

    file: ScannedFile
    digest: bytes  # xxh3_128, of its row
    evidence: Evidence


class Candidates:
    """Files by number, in some 150 bytes each: there may be millions."""

    def __init__(self) -> None:
        self._paths: list[bytes] = []
        self._numbers = [array(kind) for kind in "qqqQQ"]  # size, mtime, ctime, inode, device
        self._digests = bytearray()
        self._to_be_read = bytearray()
        self._index = RecordIndex((), PATH_KEY_BYTES, 2 * PATH_KEY_BYTES)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._paths)

    def add(self, candidate: Candidate) -> None:
        """Add one; no path may be added twice, and none after `find`."""
        (path, size, mtime_ns), ctime_ns, inode, device = candidate.file
        self._paths.append(path)
        for numbers, value in zip(self._numbers, (size, mtime_ns, ctime_ns, inode, device)):
            numbers.append(value)
        self._digests += candidate.digest
        self._to_be_read.append(candidate.evidence is Evidence.READING)

    def __getitem__(self, number: int) -> Candidate:
        """Return one."""
        size, mtime_ns, ctime_ns, inode, device = (numbers[number] for numbers in self._numbers)
        file = ScannedFile(FileVersion(self._paths[number], size, mtime_ns), ctime_ns, inode, device)
        at = number * _DIGEST_BYTES
        evidence = Evidence.READING if self._to_be_read[number] else Evidence.ROW
        return Candidate(file, bytes(self._digests[at : at + _DIGEST_BYTES]), evidence)

    def oldest_first(self) -> list[int]:
        """Return the numbers by modification time."""
        return sorted(range(len(self)), key=self._numbers[1].__getitem__)

    def build_index(self) -> None:
        """Prepare for `find`, once all were added."""
        self._index = RecordIndex(self._keys(), PATH_KEY_BYTES, 2 * PATH_KEY_BYTES)

    def _keys(self) -> Iterator[bytes]:
        return (path_key(path) + number.to_bytes(PATH_KEY_BYTES, "big") for number, path in enumerate(self._paths))

    def find(self, path: bytes) -> int | None:
        """Return the number of the one with this path."""
        record = self._index.find(path_key(path))
        if record is None:
            return None
        number = int.from_bytes(record[PATH_KEY_BYTES:], "big")
        return number if self._paths[number] == path else None

    def is_of(self, number: int, size: int, mtime_ns: int, digest: bytes) -> bool:
        """Return whether a candidate has exactly this size, modification time and digest."""
        at = number * _DIGEST_BYTES
        return (
            self._numbers[0][number] == size
            and self._numbers[1][number] == mtime_ns
            and self._digests[at : at + _DIGEST_BYTES] == digest
        )
