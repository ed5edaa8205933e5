"""The check of one version: its chunks against the local file, and its digest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dfud.core.chunk import Chunk
from dfud.core.decode import read_chunk
from dfud.core.version import FileVersion
from dfud.verifying.version_check import BadBytes, VersionCheck
from tests.helpers.downloading import native, openmsi

NOW = 1_700_000_000_123_456_789  # ns
DATA = os.urandom(4500)
N_CHUNKS = 5


def chunks(data: bytes = DATA, chunk_size: int = 1000) -> list[Chunk]:
    records = native(b"folder/file", data, NOW, chunk_size)
    return [read_chunk(record.key, record.value, record.headers) for record in records]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[VersionCheck]:
    """A check whose local file has `DATA`."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    check = VersionCheck(chunks()[0], FileVersion(b"folder/file", len(DATA), NOW))
    check.file_fd = os.open(path, os.O_RDWR)
    yield check
    os.close(check.file_fd)


class Message(NamedTuple):
    """A message, as far as its place goes."""

    at: int
    number: int = 0

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at


def add_all(check: VersionCheck, added: list[Chunk]) -> VersionCheck:
    for at, chunk in enumerate(added):
        check.add(chunk, Message(at))
    return check


def absent() -> VersionCheck:
    """Return a check without a local file."""
    return VersionCheck(chunks()[0], None)


@pytest.mark.parametrize("step", [1, -1])
def test_the_same_bytes_in_any_order(local: VersionCheck, step: int) -> None:
    add_all(local, chunks()[::step])
    assert local.is_complete
    assert local.is_same
    assert local.has_digest() is True


@pytest.mark.parametrize("position", [0, 2500, len(DATA) - 1])
def test_one_flipped_byte_in_the_local_file(local: VersionCheck, position: int) -> None:
    os.pwrite(local.file_fd, bytes([DATA[position] ^ 1]), position)
    add_all(local, chunks())
    assert not local.is_same
    assert local.has_digest() is True  # of what is on the topic


def test_a_local_file_that_ends_too_early(local: VersionCheck) -> None:
    os.ftruncate(local.file_fd, 4400)
    add_all(local, chunks())
    assert not local.is_same
    assert local.partial().is_bad


def test_a_chunk_beyond_the_local_file_is_not_compared_with_the_chunk_before(local: VersionCheck) -> None:
    os.ftruncate(local.file_fd, 0)
    os.pwrite(local.file_fd, b"x" * 1000, 0)
    add_all(local, chunks(b"x" * 4500)[:2])
    assert not local.is_same


def test_bytes_on_the_topic_that_do_not_have_their_digest(local: VersionCheck) -> None:
    wrong = [chunk._replace(digest="0" * 32 if chunk.digest else "") for chunk in chunks()]
    add_all(local, wrong)
    assert local.is_complete
    assert local.has_digest() is False


def test_of_a_chunk_that_is_sent_again_the_last_copy_counts(local: VersionCheck) -> None:
    good = chunks()
    bad = chunks(DATA[:2000] + b"x" * 1000 + DATA[3000:])[2]
    assert not add_all(local, [*good[:2], bad]).is_same
    assert add_all(local, good[2:]).is_same
    assert local.has_digest() is True
    assert not add_all(local, [bad]).is_same


def test_a_copy_changes_nothing(local: VersionCheck) -> None:
    add_all(local, chunks())
    hashed = local.assembly.hashed
    add_all(local, chunks()[:3])
    assert local.is_same
    assert local.assembly.hashed == hashed == len(DATA)
    without_file = add_all(absent(), [*chunks()[:3], *chunks()])
    assert without_file.has_digest() is True


def test_no_local_file_and_chunks_in_order() -> None:
    check = add_all(absent(), chunks())
    assert check.has_digest() is True
    assert not check.is_same


def test_no_local_file_and_chunks_out_of_order_take_another_pass() -> None:
    check = add_all(absent(), chunks()[::-1])
    assert check.is_complete
    assert check.has_digest() is None


def test_differing_chunks_out_of_order_take_another_pass(local: VersionCheck) -> None:
    os.pwrite(local.file_fd, b"changed", 0)
    add_all(local, chunks()[::-1])
    assert local.has_digest() is None


def test_the_digest_of_an_empty_file_is_enough() -> None:
    (chunk,) = chunks(b"")
    check = add_all(VersionCheck(chunk, None), [chunk])
    assert check.is_complete
    assert check.has_digest() is True


def test_copies_of_chunks_mend_only_as_many_runs_as_are_known(local: VersionCheck) -> None:
    add_all(local, chunks(bytes(len(DATA)), 20)[::2])
    add_all(local, chunks(DATA, 20))
    assert not local.is_same, "more than 100 that do not follow one another differ"


@pytest.mark.parametrize(("first", "again"), [(500, 1000), (1000, 500), (1000, 4000)])
def test_chunks_of_two_sizes(local: VersionCheck, first: int, again: int) -> None:
    """A restart with another --chunk_size sends what is missing, or all, in other chunks."""
    other = DATA[:2000] + b"x" * 1000 + DATA[3000:]
    wrong = [chunk._replace(digest="") for chunk in chunks(other, first)]
    assert not add_all(local, wrong).is_same
    right = chunks(DATA, again)
    numbers = [chunk.number for chunk in right if chunk.offset < 3000 and chunk.offset + len(chunk.data) > 2000]
    add_all(local, [chunk for chunk in right if chunk.number not in numbers])
    assert not local.is_same, "what differs was not sent again"
    add_all(local, [chunk for chunk in right if chunk.number in numbers])
    assert local.is_same
    assert local.is_complete
    assert local.has_digest() is True
    resumed = add_all(absent(), chunks(DATA, first)[:2])
    add_all(resumed, [chunk for chunk in right if chunk.offset + len(chunk.data) > 2 * first])
    assert resumed.is_complete


def test_the_place_of_a_version_is_that_of_the_message_that_was_sent_last() -> None:
    check = absent()
    first, *_, last = chunks()
    check.add(first, Message(7))
    assert check.is_in_one_partition
    check.add(first, Message(3))
    assert check.place.offset == 7
    check.add(last, Message(9, 1))
    assert (check.place.partition, check.place.offset) == (1, 9)
    assert not check.is_in_one_partition


def test_what_is_reported_of_an_incomplete_version(local: VersionCheck) -> None:
    first, second, *_, last = chunks()
    partial = add_all(local, [first, second]).partial()
    assert (partial.path, partial.size, partial.mtime_ns) == (b"folder/file", len(DATA), NOW)
    assert (partial.chunk_size, partial.algorithm, partial.digest) == (1000, "xxh3_128", "")
    assert partial.spans == ((1, 2000),)
    assert partial.is_here
    assert not local.is_complete
    partial = add_all(absent(), [last]).partial()
    assert (partial.chunk_size, partial.digest) == (0, last.digest)
    assert partial.spans == ((4001, 4500),)
    assert not partial.is_here


def test_openmsistream_states_the_size_in_the_last_chunk_only() -> None:
    records = openmsi(b"folder/file", DATA, 1.5)
    added = [read_chunk(record.key, record.value, record.headers) for record in records]
    check = VersionCheck(added[0], None)
    assert check.assembly.size is None
    assert not add_all(check, added[:-1]).is_complete
    assert check.partial().size is None
    assert add_all(check, added[-1:]).is_complete
    assert check.partial().size == len(DATA)
    assert check.has_digest() is True


def test_any_number_of_chunks_that_follow_one_another_may_be_sent_again_with_other_bytes() -> None:
    bad = BadBytes()
    for first in range(0, 5_000, 10):
        bad.add(first, first + 10)
    for first in range(0, 5_000, 10):
        assert bad
        assert bad.remove(first, first + 10)
    assert not bad
