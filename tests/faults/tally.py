"""What a fault cost, counted on the topic with the independent reader."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.reader import File
from tests.helpers.uploading import recorded_chunks

CHUNK = 16384  # bytes, the default of --chunk_size
_MAX_FAILURES = 10

Files = Mapping[bytes, Mapping[str, File]]  # on a topic, by path and upload id


def count_chunks(content: bytes) -> int:
    """Return the number of chunks of a file with this content; an empty file has one."""
    return max(1, -(-len(content) // CHUNK))


@dataclass
class Tally:
    """The counts of a row of the table, and a line in `failures` for whatever is wrong."""

    times: int = 0  # how often the fault was caused
    files: int = 0  # that should be on the topic
    chunks: int = 0
    lost: int = 0  # chunks
    twice: int = 0  # messages that repeat a chunk
    seconds: list[float] = field(default_factory=list)  # from the end of a fault to full recovery
    failures: list[str] = field(default_factory=list)
    remark: str = ""  # for the last column

    @contextmanager
    def recovering(self) -> Iterator[None]:
        """Measure the time from the end of the fault, which is now, to the end of the block."""
        began = time.monotonic()
        yield
        self.seconds.append(time.monotonic() - began)

    def check(self, expected: Mapping[bytes, bytes], on_topic: Files) -> None:
        """Count the chunks of `expected` (contents by path) of which the topic has no complete version."""
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
        """Check that each complete version on the topic is one that the file has had."""
        for path, versions in on_topic.items():
            for version in versions.values():
                if version.complete and version.data not in written.get(path, ()):
                    self.complain(f"{path!r} is on the topic with a content that it never had in the directory")

    def check_recorded(self, directory: Path, topic: str, on_topic: Files) -> dict[bytes, set[int]]:
        """Check that each chunk that the tables record is on the topic; return these chunks by path.

        Only for directories whose files do not change, so that each has one version.
        """
        recorded = recorded_chunks(directory, topic)
        for path, numbers in recorded.items():
            there = {number for version in on_topic.get(path, {}).values() for number in version.chunks}
            if not numbers <= there:
                self.lost += len(numbers - there)
                self.complain(f"{path!r}: {len(numbers - there)} chunks are recorded and not on the topic")
        return recorded

    def require(self, condition: bool, failure: str) -> None:
        """Record a failure unless the condition holds."""
        if not condition:
            self.complain(failure)

    def require_no_repeats(self, on_topic: Files) -> None:
        """Record a failure if chunks are on the topic more than once."""
        repeated = sum(version.duplicates for versions in on_topic.values() for version in versions.values())
        self.require(not repeated, f"{repeated} chunks were sent twice")

    def complain(self, failure: str) -> None:
        """Record a failure."""
        self.failures.append(failure)

    @property
    def has_passed(self) -> bool:
        """Whether nothing was lost and nothing else is wrong."""
        return not self.lost and not self.failures

    def first_failures(self) -> list[str]:
        """Return the first failures, and how many more there are."""
        more = len(self.failures) - _MAX_FAILURES
        return self.failures[:_MAX_FAILURES] + ([f"and {more} more"] if more > 0 else [])


def _chunks_of(content: bytes, version: File) -> int:
    """Return how many of the version's chunks match the content."""
    same = (
        content[version.offsets[number] : version.offsets[number] + len(value)] == value
        for number, value in version.chunks.items()
    )
    return sum(same)
