"""From the messages of a reader to verdicts on versions, by comparing every chunk with the directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import PartialVersion, VersionVerdicts
from dfud.verifying.findings import ABSENT, CORRUPT, DIFFERS, SAME, pack_record, path_hash
from dfud.verifying.version_check import LastCopies, VersionCheck

_MAX_OPEN_FILES = 128


class TopicChecker:
    """Responsible for the checks of all versions that one reader finds, and for the local files they need open.

    Usage: `check` all messages, then all of them again by `start_rehash` and `rehash` while `needs_rehash`;
    `pop_verdicts` now and then, and `partials` at the end.
    """

    def __init__(self, directory: str, links: LinkPolicy = DEFAULT_LINKS) -> None:
        """Compare with the files in `directory`, and those that its links lead to."""
        self.messages = self.bytes = self.refused = 0  # of those that were checked
        self._tree = ConfinedTree(directory, links)
        self._incomplete: dict[bytes, VersionCheck] = {}  # by identity
        self._unhashed: dict[bytes, VersionCheck] = {}  # by identity: complete, and to be hashed in another pass
        self._current: dict[bytes, VersionCheck] = {}  # by key: those whose next chunk is known
        self._open: dict[int, VersionCheck] = {}  # by id, those whose local file is open, the oldest first
        self._records: list[bytes] = []
        self._path_hashes: list[bytes] = []

    def check(self, messages: Iterable[Any]) -> None:
        """Compare the chunks in these messages, which are in the order of their partitions."""
        self._tree.close_folders()
        for message in messages:
            key, value, headers = message.key(), message.value(), message.headers()
            self.messages += 1
            self.bytes += len(value or b"")
            check = self._current.get(key)
            if check is not None:
                offset = check.expected.accept(value, headers)
                if offset is not None:
                    if check.file_fd < 0:
                        self._open_file(check)
                    check.compare(offset // len(value) + 1, offset, value)
                    continue
            try:
                chunk = read_chunk(key, value, headers)
            except ForeignMessageError:
                continue
            except BadMessageError:
                self.refused += 1
                continue
            self._check_chunk(chunk, key or b"")

    def _check_chunk(self, chunk: Chunk, key: bytes) -> None:
        identity = chunk.identity()
        check = self._incomplete.get(identity)
        if check is None:
            check = self._unhashed.pop(identity, None) or VersionCheck(chunk, self._find_local(chunk))
            self._incomplete[identity] = check
        if check.file_fd < 0:
            self._open_file(check)
        check.add(chunk)
        if check.expected.follow(chunk, check.assembly.spans):
            self._current[key] = check
        if check.is_complete:
            self._on_complete(identity, check)

    def _find_local(self, chunk: Chunk) -> FileVersion | None:
        """Return the version of the local file, if it has the size that the chunk states."""
        status = self._tree.stat_file(chunk.path)
        if status is not None and chunk.size in (None, status.st_size):
            return FileVersion(chunk.path, status.st_size, status.st_mtime_ns)
        self._path_hashes.append(path_hash(chunk.path))
        return None

    def _open_file(self, check: VersionCheck) -> None:
        """Open the local file of a check, if there is one."""
        if check.local is None:
            return
        try:
            check.file_fd = self._tree.open(check.path)
        except OSError:  # it was removed, or must not be read: it gets no verdict
            check.local = None
            return
        self._open[id(check)] = check
        if len(self._open) > _MAX_OPEN_FILES:
            self._close_file(next(iter(self._open.values())))

    def _close_file(self, check: VersionCheck) -> None:
        if self._open.pop(id(check), None) is not None:
            os.close(check.file_fd)
            check.file_fd = -1

    def _on_complete(self, identity: bytes, check: VersionCheck) -> None:
        has_digest = check.has_digest()
        del self._incomplete[identity]
        self._current.pop(check.path, None)
        self._close_file(check)
        if has_digest is None:
            check.assembly.restart_hash()
            self._unhashed[identity] = check
        else:
            self._add_verdict(check, has_digest)

    def _add_verdict(self, check: VersionCheck, has_digest: bool) -> None:
        assembly, local = check.assembly, check.local
        if local is not None and assembly.size != local.size:
            local = None  # OpenMSIStream states the size only in the last chunk
            self._path_hashes.append(path_hash(check.path))
        if not has_digest:
            state = CORRUPT
        elif local is None:
            state = ABSENT
        else:
            state = SAME if check.is_same else DIFFERS
        version = FileVersion(check.path, assembly.size or 0, check.mtime_ns or 0)
        self._records.append(pack_record(version, check.algorithm, assembly.digest, local, state))

    @property
    def needs_rehash(self) -> bool:
        """Whether the digest of a complete version is not known yet: its chunks are to be read again."""
        return bool(self._unhashed)

    def start_rehash(self) -> None:
        """Begin another pass. The first one finds the last copies of chunks that may have had other bytes."""
        for check in self._unhashed.values():
            if check.copies is not None:
                check.copies.are_known = True
            elif check.has_other_copies:
                check.copies = LastCopies()

    def rehash(self, messages: Iterable[Any]) -> None:
        """Go on hashing what arrived out of order, as far as the chunks follow one another in this pass."""
        for message in messages:
            try:
                chunk = read_chunk(message.key(), message.value(), message.headers())
            except ValueError:
                continue
            identity = chunk.identity()
            check = self._unhashed.get(identity)
            if check is None or not self._is_last_copy(check, chunk, message):
                continue
            if chunk.offset != check.assembly.hashed:
                continue
            check.assembly.add(chunk.offset, chunk.data)
            if check.assembly.hashed == check.assembly.size:
                del self._unhashed[identity]
                self._add_verdict(check, check.assembly.verify(lambda *_: b""))

    @staticmethod
    def _is_last_copy(check: VersionCheck, chunk: Chunk, message: Any) -> bool:
        """Return whether a message counts, as far as that matters and is known."""
        if check.copies is None:
            return True
        if check.copies.are_known:
            return check.copies.has(chunk.number, message.offset())
        check.copies.add(chunk.number, message.offset())
        return False

    @property
    def n_verdicts(self) -> int:
        """The number of verdicts that `pop_verdicts` would return."""
        return len(self._records)

    def pop_verdicts(self) -> VersionVerdicts | None:
        """Return the verdicts since the last call; None if nothing was found."""
        if not self._records and not self._path_hashes:
            return None
        verdicts = VersionVerdicts(b"".join(self._records), b"".join(self._path_hashes))
        self._records, self._path_hashes = [], []
        return verdicts

    def partials(self) -> list[PartialVersion]:
        """Return what was found of the versions without a verdict."""
        return [check.partial() for check in (*self._incomplete.values(), *self._unhashed.values())]
