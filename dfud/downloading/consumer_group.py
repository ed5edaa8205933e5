"""Which consumer group reads into a directory, so that each directory receives all of the topic.

A group's offsets say what has been read into one directory. So each directory has a group of its own. Its name is
recorded beside the parts, with what tells the folder from a copy of it: a copy (a backup that is put back, a
directory that was copied with LOGS, a snapshot) would continue where the original is by now.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dfud.files.birth import birth_ns
from dfud.files.open_folder import open_regular

_MAX_CHARS = 1 << 20  # of the record: somebody may have made a file to fill memory
_GROUPS = "groups"  # file with a line for each group, and for each topic of this name, the last ones last
_LINE = re.compile(r"(own|given) (\d+) (\d+) (\S+) (\S+) (.+)")
_OWN_SUFFIX = re.compile(r"[0-9a-f]{16}")
_DEFAULT_PREFIX = "dfud"


class GroupRecord(NamedTuple):
    """A group that has read into a directory."""

    group: str
    is_own: bool  # made for this directory, and used by no other
    topic_id: str  # of the topic that it has read; "" if the broker did not say


class KnownGroups:
    """The consumer groups that have read into a directory."""

    def __init__(self, dir_fd: int, path: str) -> None:
        """Read the record in the folder of parts at `path`, which is open as `dir_fd`; OSError if that fails."""
        self._dir_fd = dir_fd
        self._path = os.path.realpath(os.fsencode(path))
        self._inode, self._birth_ns = os.fstat(dir_fd).st_ino, birth_ns(dir_fd)
        self.copied_from = ""  # the path of the directory that this one is a copy of
        self._records = {record.group: record for record in self._read()}

    def find(self, group: str) -> GroupRecord | None:
        """Return the record of a group that has read into this directory."""
        return self._records.get(group)

    def own(self, requested: str | None) -> GroupRecord | None:
        """Return the group that was made for this directory when the configuration named group `requested`."""
        prefix = _prefix(requested)
        for record in reversed(self._records.values()):
            if (
                record.is_own
                and record.group.startswith(prefix)
                and _OWN_SUFFIX.fullmatch(record.group[len(prefix) :])
            ):
                return record
        return None

    def add(self, record: GroupRecord) -> None:
        """Record a group, or another topic of it; the record is on disk when this returns."""
        if self._records.get(record.group) == record:
            return
        kind = "own" if record.is_own else "given"
        place = f"{self._inode} {self._birth_ns} {quote_from_bytes(self._path)}"
        descriptor = open_regular(_GROUPS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._dir_fd)
        with open(descriptor, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{kind} {place} {record.topic_id or '-'} {record.group}\n")
            file.flush()
            os.fsync(file.fileno())
        os.fsync(self._dir_fd)
        self._records[record.group] = record

    def _read(self) -> Iterator[GroupRecord]:
        try:
            descriptor = open_regular(_GROUPS, os.O_RDONLY, self._dir_fd)
        except FileNotFoundError:
            return
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(_MAX_CHARS).splitlines()
        for match in filter(None, map(_LINE.fullmatch, lines)):
            kind, inode, born, path, topic_id, group = match.groups()
            recorded = unquote_to_bytes(path)
            if not self._has_identity(int(inode), int(born)) or self._is_copy_of(recorded):
                self.copied_from = os.fsdecode(recorded)
            else:
                yield GroupRecord(group, kind == "own", "" if topic_id == "-" else topic_id)

    def _has_identity(self, inode: int, birth: int) -> bool:
        """Return whether this may be our folder; `birth` and ours are 0 where the file system does not say."""
        return inode == self._inode and (birth == self._birth_ns or 0 in (birth, self._birth_ns))

    def _is_copy_of(self, path: bytes) -> bool:
        """Return whether the folder at `path` has our inode in another file system: we are in a snapshot of it."""
        if path == self._path:
            return False
        try:
            status = os.lstat(path)
        except OSError:
            return False  # it is gone: we were moved
        return status.st_ino == self._inode and status.st_dev != os.fstat(self._dir_fd).st_dev


def new_group(requested: str | None) -> str:
    """Return the name of a new group: it begins with that of the configuration, as ACLs may demand."""
    return f"{_prefix(requested)}{secrets.token_hex(8)}"


def _prefix(requested: str | None) -> str:
    return f"{requested or _DEFAULT_PREFIX}-"
