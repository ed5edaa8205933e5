"""New small files of one folder that were found together, and that nothing else concerns: not an entry for each.

Most files of most uploads are such ones, and an `Entry` for each takes the supervisor several times as long. What
a cohort says is true of all of its files: that they wait, or that they are with one lane. As soon as anything else
happens to one of them, or concerns its path, those that are left become entries (`Entries.unfold`), as if they had
been that from the beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from dfud.core.chunking import count_chunks
from dfud.core.version import PATH_KEY_BYTES, FileStamp, FileVersion
from dfud.messages import FilesTask, FileTask
from dfud.uploading.entry import Entry, State


class Cohort:
    """Some files; those that are completed leave it, and no other joins it."""

    __slots__ = (
        "chunk_size", "first", "folder", "identities", "is_asked", "lane", "read", "stamps", "started", "versions",
    )  # fmt: skip

    def __init__(
        self,
        first: int,
        versions: Sequence[FileVersion],
        stamps: Sequence[FileStamp],
        identities: Sequence[bytes],
        chunk_size: int,
        started: str,
        is_asked: bool = True,
    ) -> None:
        """Begin with files that wait; `first` is the token of the first one, those of the others follow."""
        self.first = first
        self.versions = versions
        self.stamps = stamps
        self.identities = identities
        self.chunk_size = chunk_size  # bytes
        self.started = started  # ISO 8601, for their rows
        self.is_asked = is_asked  # who writes to them; otherwise a chunker does that
        self.folder = versions[0].path.rpartition(b"/")[0]  # that they lie in; b"" for the directory itself
        self.lane = -1  # that has them; -1 while they wait
        self.read: set[int] = set()  # tokens of those of which the producer has all

    def __len__(self) -> int:
        """Count the files that it has begun with."""
        return len(self.versions)

    @property
    def tokens(self) -> range:
        """The tokens of the files that it has begun with."""
        return range(self.first, self.first + len(self.versions))

    def entry(self, token: int) -> Entry:
        """Return an entry that is as that of a file would be."""
        at = token - self.first
        entry = Entry(token, self.versions[at], self.chunk_size, self.started, self.identities[at])
        entry.stamp = self.stamps[at]
        entry.is_asked = self.is_asked
        entry.state = State.WAITING
        if self.lane >= 0:
            entry.state = State.ACTIVE
            entry.lane = self.lane
            entry.may_be_sent = True
            entry.is_read = token in self.read
        return entry

    def task(self) -> FilesTask:
        """Return the task for a chunker."""
        return FilesTask(self.first, self.versions, self.stamps, self.chunk_size, self.started, self.is_asked)


class Cohorts:
    """All cohorts of a ledger, with what is left of them."""

    def __init__(self) -> None:
        self.by_token: dict[int, Cohort] = {}
        self.by_path: dict[bytes, Cohort] = {}
        self.waiting: deque[Cohort] = deque()  # in the order of dispatch

    def __len__(self) -> int:
        """Count the files."""
        return len(self.by_token)

    def __iter__(self) -> Iterator[Cohort]:
        """Iterate over the cohorts that have files left."""
        return iter(dict.fromkeys(self.by_token.values()))

    def add(self, cohort: Cohort) -> None:
        """Add a cohort that waits."""
        self.by_token.update(dict.fromkeys(cohort.tokens, cohort))
        self.by_path.update(dict.fromkeys((version.path for version in cohort.versions), cohort))
        self.waiting.append(cohort)

    def remove(self, cohort: Cohort, tokens: Iterable[int]) -> None:
        """Forget some files of a cohort."""
        by_token, by_path, versions, first = self.by_token, self.by_path, cohort.versions, cohort.first
        for token in tokens:
            del by_token[token]
            del by_path[versions[token - first].path]

    def take(self, cohort: Cohort) -> list[Entry]:
        """Forget a cohort; return what is left of it as entries."""
        left = [token for token in cohort.tokens if token in self.by_token]
        if cohort.lane < 0:
            self.waiting.remove(cohort)
        self.remove(cohort, left)
        return [cohort.entry(token) for token in left]

    def path_keys(self) -> set[bytes]:
        """Return the keys of the paths of all files."""
        return {
            cohort.identities[token - cohort.first][:PATH_KEY_BYTES] for token, cohort in self.by_token.items()
        }

    def with_lanes(self) -> Iterator[Entry]:
        """Yield the files that are with lanes, as they would be as entries."""
        return (cohort.entry(token) for token, cohort in self.by_token.items() if cohort.lane >= 0)

    def entries(self) -> Iterator[Entry]:
        """Yield all files as they would be as entries."""
        return (cohort.entry(token) for token, cohort in self.by_token.items())


def each_task(message: FilesTask) -> Iterator[FileTask]:
    """Yield a task for each file of a cohort's."""
    chunk_size, started, is_asked = message.chunk_size, message.started, message.is_asked
    for token, (version, stamp) in enumerate(zip(message.versions, message.stamps), message.first):
        to_send = ((1, count_chunks(version.size, chunk_size)),)
        yield FileTask(token, version, chunk_size, to_send, started, "", stamp, is_asked)
