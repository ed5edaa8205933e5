"""What was recorded last of each path: what the topic has of it, as far as the completed table says.

A path that was a file and became a folder, or the other way round, is one that has changed: what was recorded of
the one counts no more once the other is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from dfud.core.version import PATH_KEY_BYTES, FileVersion, folders_above, path_key
from dfud.logs.completed.index import IDENTITY_BYTES, N_PARTS, RecordIndex, words_of
from dfud.logs.completed.merging import parse_time

RECORD_BYTES = 32  # an identity and a digest
FOLDER_BYTES = PATH_KEY_BYTES
_NEVER = float("-inf")


class RecordedVersions:
    """The version of each path that was recorded last, at 32 bytes each, and 8 for each folder."""

    def __init__(self, records: Iterable[bytes] = (), folders: Iterable[bytes] = ()) -> None:
        """Begin with `records`, each an identity and a digest, in their order, and the keys of their folders.

        If a path is among both, `settle` has to follow.
        """
        self._latest = RecordIndex(records, PATH_KEY_BYTES, RECORD_BYTES)
        self._folders = RecordIndex(folders, PATH_KEY_BYTES, FOLDER_BYTES)
        # Of each path that was recorded as a file after something below it: the keys of what was recorded below
        # it since.
        self._since: dict[bytes, set[bytes]] = {}
        self._last_folder = b""  # of the version that was added last
        self._clear_folder = b""  # neither it nor one above it is recorded as a file
        # Versions that may have replaced on the topic what is recorded, by path, each with the time of that: what
        # is completed later counts. They must outlive the run, as nothing else remembers them.
        self._unproven: dict[bytes, dict[FileVersion, str]] = {}
        self.unproven_changed = False  # since this was last set to False

    def __len__(self) -> int:
        """Return the number of paths; one that was recorded again lately may count twice."""
        return len(self._latest)

    # -- questions

    def finder(self) -> Callable[[bytes], bool]:
        """Return a quick function that tells whether the version with an identity was recorded last of its path.

        It may say no where that takes long to find out, and is good as long as nothing is recorded. What it finds
        counts unless a folder of the path `is_ambiguous`.
        """
        return self._latest.finder()

    def is_ambiguous(self, key: bytes) -> bool:
        """Return whether the path with this key was recorded as a file, and as a folder of files before."""
        return key in self._since

    def digest(self, version: FileVersion, identity: bytes) -> bytes | None:
        """Return the digest of a version if it is what was recorded last of its path, else None."""
        record = self._latest.find(identity[:PATH_KEY_BYTES])
        if record is None or not record.startswith(identity):
            return None
        if self._since and any(
            identity[:PATH_KEY_BYTES] not in since
            for since in map(self._since.get, map(path_key, folders_above(version.path)))
            if since is not None
        ):
            return None
        return record[IDENTITY_BYTES:]

    def unrecorded(self, identities: bytes, folders: bytes, doubtful: Collection[bytes]) -> Iterator[int]:
        """Yield the positions of the `identities`, 16 bytes each, for which `digest` may return None.

        `folders` are the keys of all folders that the files lie in; the paths with the keys `doubtful` are always
        yielded. For a few more files, `digest` knows better.
        """
        find, since = self._latest.find, self._since
        voids: list[set[bytes]] = []
        if since:
            voids = [since[key] for key in _split(folders, PATH_KEY_BYTES) if key in since]
        for position, identity in enumerate(_split(identities, IDENTITY_BYTES)):
            key = identity[:PATH_KEY_BYTES]
            record = find(key)
            is_last = record is not None and record.startswith(identity)
            if not is_last or key in doubtful or any(key not in void for void in voids):
                yield position

    def is_replaced_by(self, version: FileVersion, identity: bytes) -> bool:
        """Return whether anything that is recorded counts no more once `version` is sent."""
        key = identity[:PATH_KEY_BYTES]
        record = self._latest.find(key)
        if (record is not None and not record.startswith(identity)) or self._folders.find(key) is not None:
            return True
        folder = version.path.rpartition(b"/")[0]
        if folder != self._clear_folder:
            if any(self._latest.find(path_key(each)) is not None for each in folders_above(version.path)):
                return True
            self._clear_folder = folder
        return False

    def concerns(self, folder: bytes, identities: Sequence[bytes]) -> bool:
        """Return whether anything is recorded of these paths in `folder`, below one, or where `folder` is."""
        keys = [identity[:PATH_KEY_BYTES] for identity in identities]
        above = map(path_key, (folder, *folders_above(folder))) if folder else ()
        return self._latest.has_any(keys) or self._folders.has_any(keys) or self._latest.has_any(list(above))

    def count_unknown(self, identities: bytes | bytearray, others: Collection[bytes] = ()) -> int:
        """Return how many of `identities`, 16 bytes each, are neither recorded last nor in `others`.

        A million of them in an index of a million paths take less than a second. Unless there are few of them,
        only the last 8 bytes are compared, which are the same by chance in one of 10^7 such directories: the
        number is only for the user to read.
        """
        asked = _split(identities, IDENTITY_BYTES)
        if len(identities) // IDENTITY_BYTES * N_PARTS < len(self):
            return sum(identity not in others and not self._has(identity) for identity in asked)
        parts = [bytearray() for _ in range(N_PARTS)]
        for identity in asked:
            parts[identity[0] * N_PARTS >> 8] += identity
        more = set(words_of(b"".join(others), PATH_KEY_BYTES, IDENTITY_BYTES))
        unknown = 0
        for part, records in zip(parts, self._latest.parts()):
            known = more.union(words_of(records, PATH_KEY_BYTES, RECORD_BYTES))
            words = words_of(part, PATH_KEY_BYTES, IDENTITY_BYTES)
            unknown += len(words) - sum(map(known.__contains__, words))
        return unknown

    def _has(self, identity: bytes) -> bool:
        record = self._latest.find(identity[:PATH_KEY_BYTES])
        return record is not None and record.startswith(identity)

    # -- changes

    def add(self, path: bytes, identity: bytes, digest: bytes) -> None:
        """Take a version that was recorded just now; what it replaces counts no more."""
        key = identity[:PATH_KEY_BYTES]
        folder = path.rpartition(b"/")[0]
        if self._unproven and self._unproven.pop(path, {}):
            self.unproven_changed = True
        if folder != self._last_folder or self._since:
            self._last_folder = folder
            self._enter_folders(path, key)
        if self._folders.find(key) is not None:
            self._since[key] = set()
        if self._clear_folder.startswith(path):
            self._clear_folder = b""
        self._latest.put(identity + digest)

    def add_together(self, paths: Sequence[bytes], records: Sequence[bytes]) -> None:
        """Take versions that were recorded just now, in one folder: of each identity and digest.

        None of them may be a folder of what is recorded.
        """
        if self._unproven or self._since or any(map(self._clear_folder.startswith, paths)):
            for path, record in zip(paths, records):
                self.add(path, record[:IDENTITY_BYTES], record[IDENTITY_BYTES:])
            return
        folder = paths[0].rpartition(b"/")[0]
        if folder != self._last_folder:
            self._last_folder = folder
            self._enter_folders(paths[0], records[0][:PATH_KEY_BYTES])
        self._latest.put_all(records)

    def _enter_folders(self, path: bytes, key: bytes) -> None:
        """Forget the files that were where the folders of `path` are now."""
        for folder in map(path_key, folders_above(path)):
            since = self._since.get(folder)
            if since is not None:
                since.add(key)
            elif self._folders.find(folder) is not None:
                if not self._since:
                    break  # it has been done for those above
                continue
            else:
                self._folders.put(folder)
            self._latest.remove(folder)

    def distrust(self, version: FileVersion, since: str) -> None:
        """Forget what `version`, of which everything may have been sent, replaces on the topic.

        `since` is the present time (ISO 8601), by the clock of the completed rows.
        """
        identity = version.identity()
        if self.is_replaced_by(version, identity):
            self._unproven.setdefault(version.path, {})[version] = since
            self.unproven_changed = True
        self._forget_replaced(version, _NEVER, {}, {})

    def unproven(self) -> list[tuple[FileVersion, str]]:
        """Return the versions that were distrusted and whose paths were not recorded since, with the times."""
        return [(version, since) for versions in self._unproven.values() for version, since in versions.items()]

    # -- loading

    def saved(self) -> tuple[bytes, bytes] | None:
        """Return all records and folders, for `from_saved`; None if they are not all that is to be known."""
        if self._since or self._unproven:
            return None
        return self._latest.all(), self._folders.all()

    @classmethod
    def from_saved(cls, records: bytes, folders: bytes) -> RecordedVersions:
        """Return what `saved` was asked of."""
        recorded = cls()
        recorded._latest.set_all(records)
        recorded._folders.set_all(folders)
        return recorded

    def ambiguous(self) -> set[bytes]:
        """Return the keys of the paths that are recorded as files and have others below them."""
        found: set[int] = set()
        for folders, records in zip(self._folders.parts(), self._latest.parts()):
            words = set(words_of(folders, 0, PATH_KEY_BYTES))
            if words:
                found.update(words.intersection(words_of(records, 0, RECORD_BYTES)))
        return {word.to_bytes(PATH_KEY_BYTES, sys.byteorder) for word in found}

    def settle(self, ambiguous: set[bytes], paths: Iterable[bytes]) -> None:
        """Find out what counts of `ambiguous` paths and below them; `paths` are those of all rows, in order."""
        below: dict[bytes, set[bytes]] = {key: set() for key in ambiguous}
        void: set[bytes] = set()
        last_folder, above = b"", list[bytes]()
        for path in paths:
            folder = path.rpartition(b"/")[0]
            if folder != last_folder:
                last_folder = folder
                above = [key for key in map(path_key, folders_above(path)) if key in ambiguous]
            key = path_key(path)
            is_ambiguous = key in ambiguous
            if not above and not is_ambiguous:
                continue
            void.discard(key)
            for each in above:
                void.add(each)
                below[each].add(key)
            if is_ambiguous:
                void |= below[key]
                below[key].clear()
        for key in void:
            self._latest.remove(key)
        self._since.update({key: set() for key in ambiguous - void})

    def distrust_again(
        self, unproven: Iterable[tuple[FileVersion, str]], rows: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Forget what `unproven` versions of earlier runs have replaced.

        `rows` are the path and the time of each completed row: what is later than an unproven version counts.
        """
        times: dict[bytes, float] = {}  # when the last version of each path of interest was completed
        below: dict[bytes, dict[bytes, float]] = {}  # the same of what lies below each path of `unproven`, by key
        by_path: dict[bytes, list[tuple[FileVersion, str]]] = {}
        for version, since in unproven:
            by_path.setdefault(version.path, []).append((version, since))
            times.update(dict.fromkeys((version.path, *folders_above(version.path)), _NEVER))
            below[version.path] = {}
        last_folder, above = b"", list[bytes]()
        for path, completed in rows:
            folder = path.rpartition(b"/")[0]
            if folder != last_folder:
                last_folder = folder
                above = [each for each in folders_above(path) if each in below]
            if path in times or above:
                time = parse_time(completed.decode("ascii", "replace"))
                if path in times:
                    times[path] = max(times[path], time)
                for each in above:
                    later = below[each]
                    later[path_key(path)] = max(later.get(path_key(path), _NEVER), time)
        for path, versions in by_path.items():
            for version, since in versions:
                time = parse_time(since)
                if times[path] <= time:
                    self._unproven.setdefault(path, {})[version] = since
                    self._forget_replaced(version, time, times, below[path])

    def _forget_replaced(
        self, version: FileVersion, since: float, times: dict[bytes, float], below: dict[bytes, float]
    ) -> None:
        """Forget what `version` replaces that was completed no later than `since`."""
        identity = version.identity()
        key = identity[:PATH_KEY_BYTES]
        if not self._has(identity):
            self._latest.remove(key)
        for folder in folders_above(version.path):
            if times.get(folder, _NEVER) <= since:
                self._latest.remove(path_key(folder))
        if self._folders.find(key) is not None:
            later = {each for each, time in below.items() if time > since}
            self._since[key] = later & self._since.get(key, later)


def _split(items: bytes | bytearray, item_bytes: int) -> Iterator[bytes]:
    return (bytes(items[at : at + item_bytes]) for at in range(0, len(items), item_bytes))
