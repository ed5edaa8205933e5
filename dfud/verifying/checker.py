"""From the messages of a reader to verdicts on versions, by comparing every chunk with the directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import msgspec

from dfud.core.chunk import SHA512, BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import headers_of, read_chunk
from dfud.core.place import pack
from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import PartialVersion, VersionVerdicts
from dfud.verifying.clash import find_clash
from dfud.verifying.findings import ABSENT, CORRUPT, DIFFERS, SAME, pack_clash, pack_record
from dfud.verifying.version_check import LastCopies, VersionCheck

_MAX_OPEN_FILES = 128
MAX_INCOMPLETE = 300_000  # versions, of some 2 kB each; anyone who may write to the topic can begin more


class TopicChecker:
    """Responsible for the checks of all versions that one reader finds, and for the local files they need open.

    Usage: `check` all messages, then all of them again by `start_rehash` and `rehash` while `needs_rehash`;
    `pop_verdicts` now and then, and `partials` at the end.
    """

    def __init__(self, directory: str, links: LinkPolicy = DEFAULT_LINKS) -> None:
        """Compare with the files in `directory`, and those that its links lead to."""
        self.messages = self.bytes = self.refused = 0  # of those that were checked
        self.dropped = 0  # versions that were not checked, because too many were incomplete
        self._tree = ConfinedTree(directory, links)
        self._incomplete: dict[
            bytes, dict[bytes, VersionCheck]
        ] = {}  # by path and identity, the oldest path first
        self._n_incomplete = 0
        self._unhashed: dict[bytes, VersionCheck] = {}  # by identity: complete, and to be hashed in another pass
        self._current: dict[bytes, VersionCheck] = {}  # by key: those whose next chunk is known
        self._open: dict[int, VersionCheck] = {}  # by id, those whose local file is open, the oldest first
        # Identities of complete versions whose size not all chunks state: it must be known what they are part of.
        self._complete_unsized: set[bytes] = set()
        self._records: list[bytes] = []
        self._clashes: list[bytes] = []
        self._corrupt: list[bytes] = []  # paths, since the last call of `pop_corrupt`

    def check(self, messages: Iterable[Any]) -> None:
        """Compare the chunks in these messages, which are in the order of their partitions."""
        self._tree.close_folders()
        for message in messages:
            key, value, headers = message.key(), message.value(), headers_of(message)
            self.messages += 1
            self.bytes += len(value or b"")
            check = self._current.get(key)
            if check is not None:
                offset = check.expected.accept(value, headers)
                if offset is not None:
                    if check.file_fd < 0:
                        self._open_file(check)
                    check.compare(offset, value)
                    continue
            try:
                chunk = read_chunk(key, value, headers)
            except ForeignMessageError:
                continue
            except BadMessageError:
                self.refused += 1
                continue
            self._check_chunk(chunk, key or b"", message)

    def _check_chunk(self, chunk: Chunk, key: bytes, message: Any) -> None:
        identity = chunk.identity()
        versions = self._incomplete.get(chunk.path)
        if versions is None:
            versions = self._incomplete[chunk.path] = {}
        check = versions.get(identity)
        if check is None:
            check = self._unhashed.pop(identity, None) or VersionCheck(chunk, self._find_local(chunk))
            versions[identity] = check
            self._n_incomplete += 1
            if self._n_incomplete > MAX_INCOMPLETE:
                self._drop_oldest()
        if check.file_fd < 0:
            self._open_file(check)
        check.add(chunk, message)
        if check.expected.follow(chunk, check.assembly.spans):
            self._current[key] = check
        if check.is_complete:
            self._on_complete(identity, check)

    def _find_local(self, chunk: Chunk) -> FileVersion | None:
        """Return the version of the local file, if it has the size that the chunk states."""
        status = self._tree.stat_file(chunk.path)
        if status is not None and chunk.size in (None, status.st_size):
            return FileVersion(chunk.path, status.st_size, status.st_mtime_ns)
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
        if check.local is not None and check.local.size != check.assembly.size:
            check.local = None  # OpenMSIStream states the size only in the last chunk
        has_digest = check.has_digest()
        self._forget(identity, check)
        if has_digest is not False:
            self._drop_superseded(check)
        if has_digest is None:
            check.assembly.restart_hash()
            self._unhashed[identity] = check
        else:
            self._add_verdict(identity, check, has_digest)

    def _forget(self, identity: bytes, check: VersionCheck) -> None:
        """Remove a check from those that are incomplete."""
        versions = self._incomplete[check.path]
        del versions[identity]
        self._n_incomplete -= 1
        if not versions:
            del self._incomplete[check.path]
        self._current.pop(check.path, None)
        self._close_file(check)

    def _drop_oldest(self) -> None:
        identity, check = next(iter(next(iter(self._incomplete.values())).items()))
        self._forget(identity, check)
        self.dropped += 1

    def _drop_superseded(self, check: VersionCheck) -> None:
        """Forget what came before a complete version of other versions of its path, as a download does.

        Only within a partition is it known what came before.
        """
        if not check.is_in_one_partition:
            return
        for identity, other in list(self._incomplete.get(check.path, {}).items()):
            if other.is_in_one_partition and other.place.partition == check.place.partition:
                self._forget(identity, other)

    def _add_verdict(self, identity: bytes, check: VersionCheck, has_digest: bool) -> None:
        assembly, local, place = check.assembly, check.local, pack(check.place)
        if not has_digest:
            state = CORRUPT
            self._corrupt.append(check.path)
        elif local is None:
            state = ABSENT
            clash = find_clash(self._tree, check.path)
            if clash:
                self._clashes.append(pack_clash(clash, place))
        else:
            state = SAME if check.is_same else DIFFERS
        version = FileVersion(check.path, assembly.size or 0, check.mtime_ns or 0)
        self._records.append(pack_record(version, place, check.algorithm, assembly.digest, local, state))
        if check.algorithm == SHA512 and check.chunk_size:
            self._complete_unsized.add(identity)

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
                chunk = read_chunk(message.key(), message.value(), headers_of(message))
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
                self._add_verdict(identity, check, check.assembly.verify(lambda *_: b""))

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
        """Return the verdicts since the last call; None if there are none."""
        if not self._records:
            return None
        verdicts = VersionVerdicts(b"".join(self._records), b"".join(self._clashes))
        self._records, self._clashes = [], []
        return verdicts

    def pop_corrupt(self) -> list[bytes]:
        """Return the paths of versions that do not have their digest, since the last call."""
        corrupt, self._corrupt = self._corrupt, []
        return corrupt

    def partials(self) -> list[PartialVersion]:
        """Return what was found of the versions without a verdict."""
        incomplete = [
            check.partial()
            for versions in self._incomplete.values()
            for identity, check in versions.items()
            if identity not in self._complete_unsized
        ]
        # Without their digest, nobody takes these for complete.
        return incomplete + [
            msgspec.structs.replace(each.partial(), digest="") for each in self._unhashed.values()
        ]
