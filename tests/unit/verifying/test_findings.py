"""What the readers of a verification have found, put together."""

from __future__ import annotations

import pytest

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.version import FileVersion
from dfud.verifying.findings import DIFFERS, NOT_HERE, SAME, WRONG, findings, path_mark, record

DIGEST, OTHER = "a" * 32, "b" * 32


def version(number: int) -> FileVersion:
    return FileVersion(b"folder/file%d" % number, 10 * number, 1_700_000_000_123_456_789 + number)


def test_each_state_is_told_apart() -> None:
    states = {1: SAME, 2: DIFFERS, 3: WRONG, 4: NOT_HERE}
    records = [
        record(version(number), XXH3_128, DIGEST, None if state == NOT_HERE else version(number), state)
        for number, state in states.items()
    ]
    batches = [b"".join(records[:2]), b"".join(records[2:])]
    found = findings(batches, [path_mark(b"seen")])
    assert batches == []
    identities = {number: version(number).identity() for number in states}
    assert [n for n in states if found.same.digest(identities[n]) is not None] == [1]
    assert [n for n in states if found.differing.digest(identities[n]) is not None] == [2, 3]
    assert [n for n in states if found.has(version(n), bytes.fromhex(DIGEST))] == [1, 2, 4]
    assert not found.has(version(1), bytes.fromhex(OTHER))
    assert not found.has(version(5), bytes.fromhex(DIGEST))
    assert path_mark(b"seen") in found.other_paths


@pytest.mark.parametrize("first", [SAME, DIFFERS])
def test_the_last_of_a_version_holds(first: bytes) -> None:
    last = DIFFERS if first == SAME else SAME
    both = [
        record(version(1), XXH3_128, digest, version(1), state)
        for digest, state in ((DIGEST, first), (OTHER, last))
    ]
    found = findings(both, [])
    assert (found.same.digest(version(1).identity()) is not None) == (last == SAME)
    assert found.has(version(1), bytes.fromhex(OTHER))
    assert not found.has(version(1), bytes.fromhex(DIGEST))


def test_a_file_may_be_another_version_than_that_on_the_topic() -> None:
    touched = version(1)._replace(mtime_ns=5)
    found = findings([record(version(1), XXH3_128, DIGEST, touched, SAME)], [])
    assert found.same.digest(touched.identity()) is not None
    assert found.same.digest(version(1).identity()) is None


def test_openmsistreams_mtime_has_been_float_seconds() -> None:
    told = version(1)._replace(mtime_ns=round(version(1).mtime_ns / 1e9 * 1e9))
    assert told != version(1)
    found = findings([record(told, SHA512, "c" * 128, None, NOT_HERE)], [])
    assert found.has(version(1), bytes.fromhex(DIGEST))  # it tells no xxh3_128 to be compared with
