"""What a fault has cost, counted on the topic by the independent reader."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.reader import File
from tests.helpers.uploading import recorded_chunks

CHUNK = 16384  # bytes, the default of --chunk_size
_MAX_TROUBLES = 10

Files = Mapping[bytes, Mapping[str, File]]  # on a topic, by path and upload id


def count_chunks(content: bytes) -> int:
    """Return how many chunks a file of this content has; an empty one has one."""
    return max(1, -(-len(content) // CHUNK))


@dataclass
class Tally:
    """A row of the table in the making; whatever is wrong and is no lost chunk is a line in `troubles`."""

    times: int = 0  # how often the fault was caused
    files: int = 0  # that were to be on the topic
    chunks: int = 0
    lost: int = 0  # chunks
    twice: int = 0  # messages that repeat a chunk which was on the topic already
    seconds: list[float] = field(default_factory=list)  # from the end of a fault until all was well again
    troubles: list[str] = field(default_factory=list)

    @contextmanager
    def recovering(self) -> Iterator[None]:
        """Take the time from the end of the fault, which is now, until all is well again."""
        began = time.monotonic()
        yield
        self.seconds.append(time.monotonic() - began)

    def check(self, expected: Mapping[bytes, bytes], on_topic: Files) -> None:
        """Count the chunks of `expected`, the contents by path, that the topic has in no whole version."""
        for path, content in expected.items():
            self.files += 1
            self.chunks += count_chunks(content)
            versions = on_topic.get(path, {}).values()
            if not any(version.complete and version.data == content for version in versions):
                there = max((_chunks_of(content, version) for version in versions), default=0)
                self.lost += max(1, count_chunks(content) - there)
                self.complain(f"{path!r} is not on the topic as it is in the directory")
        self.twice += sum(version.duplicates for versions in on_topic.values() for version in versions.values())

    def check_versions(self, written: Mapping[bytes, set[bytes]], on_topic: Files) -> None:
        """Check that each whole version on the topic is one that was there to be read, whole, at some time."""
        for path, versions in on_topic.items():
            for version in versions.values():
                if version.complete and version.data not in written.get(path, ()):
                    self.complain(f"{path!r} is on the topic as it never was in the directory")

    def check_recorded(self, directory: Path, topic: str, on_topic: Files) -> dict[bytes, set[int]]:
        """Check that each chunk that the tables call acknowledged is on the topic; return those chunks by path.

        For directories whose files do not change, so that each has one version.
        """
        recorded = recorded_chunks(directory, topic)
        for path, numbers in recorded.items():
            there = {number for version in on_topic.get(path, {}).values() for number in version.chunks}
            if not numbers <= there:
                self.lost += len(numbers - there)
                self.complain(f"{path!r}: {len(numbers - there)} chunks are recorded and not on the topic")
        return recorded

    def require(self, holds: bool, trouble: str) -> None:
        """Complain about the trouble unless the condition holds."""
        if not holds:
            self.complain(trouble)

    def complain(self, trouble: str) -> None:
        """Note that something is wrong: the fault has not been survived as it should."""
        self.troubles.append(trouble)

    @property
    def is_well(self) -> bool:
        return not self.lost and not self.troubles

    def told_troubles(self) -> list[str]:
        """Return the first of the troubles, and how many more there are."""
        more = len(self.troubles) - _MAX_TROUBLES
        return self.troubles[:_MAX_TROUBLES] + ([f"and {more} more"] if more > 0 else [])


def _chunks_of(content: bytes, version: File) -> int:
    """Return how many of the version's chunks are those of the content."""
    same = (
        content[version.offsets[number] : version.offsets[number] + len(value)] == value
        for number, value in version.chunks.items()
    )
    return sum(same)
