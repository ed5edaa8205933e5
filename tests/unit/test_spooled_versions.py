"""Versions that `dfud.read_files` collects, which may be many, large, and never complete."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from dfud import spooled_versions
from dfud.core.decode import read_chunk
from dfud.spooled_versions import SpooledVersion, SpooledVersions
from tests.helpers.descriptors import count_descriptors
from tests.helpers.downloading import Record, native

NOW = 1_700_000_000_123_456_789  # ns
_offsets = itertools.count()


class Message:
    """A message, as far as its place goes."""

    def __init__(self, partition: int, at: int) -> None:
        self._partition, self._at = partition, at

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._at

    def headers(self) -> list[tuple[str, bytes]]:
        return []

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at


@pytest.fixture
def versions() -> Iterator[SpooledVersions]:
    """Versions of which 100 bytes each may be in memory."""
    made = SpooledVersions(100, remembers=True)
    yield made
    made.close()


def read(version: SpooledVersion) -> bytes:
    """Return the content of a version that is complete."""
    with version.file:
        version.file.seek(0)
        return version.file.read()


def complete(versions: SpooledVersions, *records: Record) -> list[bytes]:
    """Add chunks; return the contents of the versions that they complete."""
    contents = []
    for record in records:
        message = Message(record.partition, next(_offsets))
        version = versions.add(read_chunk(record.key, record.value, record.headers), message)
        if version is not None:
            contents.append(read(version))
    return contents


def test_versions_that_are_never_complete_are_bounded(
    versions: SpooledVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_versions, "_MAX_VERSIONS", 5)
    before = count_descriptors()
    for number in range(50):
        assert complete(versions, *native(b"file%d" % number, b"x" * 900, NOW, 300)[:2]) == []
        assert count_descriptors() <= before + 5
    assert len(list(versions.incomplete())) == 10, "as many are named as are kept"
    versions.close()
    assert count_descriptors() == before


def test_what_is_in_memory_of_all_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_versions, "_MAX_MEMORY", 1000)
    versions = SpooledVersions(1 << 20, remembers=False)
    before = count_descriptors()
    files = [native(b"file%d" % number, b"%d" % number * 900, NOW, 300) for number in range(4)]
    assert complete(versions, *(record for each in files for record in each[:2])) == []
    assert count_descriptors() == before + 3, "one of them fits"
    rests = complete(versions, *(each[2] for each in files))
    assert rests == [b"%d" % number * 900 for number in range(4)]
    assert versions._memory == 0
    versions.close()


def test_a_complete_version_ends_what_came_before_it(versions: SpooledVersions) -> None:
    a, b = native(b"file", b"a" * 900, NOW, 300), native(b"file", b"b" * 900, NOW + 1, 300)
    before = count_descriptors()
    assert complete(versions, *a[:2], *b, *b[:1]) == [b"b" * 900]
    assert count_descriptors() <= before + 1
    assert list(versions.incomplete()) == [], "the second copy of a chunk begins nothing"
    assert complete(versions, *b, a[2], *a[:1]) == [b"b" * 900]
    assert list(versions.incomplete()) == [b"file"]
    assert complete(versions, *a) == [b"a" * 900]


def test_chunks_of_two_sizes(versions: SpooledVersions) -> None:
    large, small = (native(b"file", b"ab" * 450, NOW, size) for size in (400, 200))
    assert complete(versions, large[0], *small[2:]) == [b"ab" * 450]


def test_the_last_chunk_of_a_version_that_is_sent_again_may_come_before_others(
    versions: SpooledVersions,
) -> None:
    """A sender may have several batches under way, as over a long line."""
    old, new = native(b"file", b"a" * 900, NOW, 300), native(b"file", b"b" * 900, NOW, 300)
    assert complete(versions, *old[:2], new[0], new[2]) == []
    assert list(versions.recheck(is_end=False)) == []
    assert complete(versions, new[1]) == []
    assert [read(each) for each in versions.recheck(is_end=False)] == [b"b" * 900]
    assert list(versions.recheck(is_end=True)) == []
    assert list(versions.incomplete()) == []


def test_what_is_doubted_is_not_read_again_and_again() -> None:
    """Each look at it takes time, which a stranger might have us spend on nothing else."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0  # as long as a look takes
        return now

    versions = SpooledVersions(100, remembers=True, clock=clock)
    old, new = native(b"file", b"a" * 900, NOW, 300), native(b"file", b"b" * 900, NOW, 300)
    assert complete(versions, *old[:2], new[0], new[2], new[0]) == []
    assert list(versions.recheck(is_end=False)) == []
    assert complete(versions, new[1]) == []
    assert list(versions.recheck(is_end=False)) == [], "that was only now"
    now += 10.0
    assert [read(each) for each in versions.recheck(is_end=False)] == [b"b" * 900]
    versions.close()
