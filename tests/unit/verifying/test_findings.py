"""What the readers of a verification have found, merged."""

from __future__ import annotations

import pytest

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.place import pack
from dfud.core.sent import Sent
from dfud.core.version import FileVersion
from dfud.verifying.findings import (
    ABSENT,
    CORRUPT,
    DIFFERS,
    RECORD_BYTES,
    SAME,
    Findings,
    pack_clash,
    pack_record,
    path_hash,
)

DIGEST, OTHER = "a" * 32, "b" * 32


def place(offset: int, partition: int = 0, timestamp_ms: int = 5) -> bytes:
    return pack(Sent("", partition, offset, timestamp_ms))


def version(number: int) -> FileVersion:
    return FileVersion(b"folder/file%d" % number, 10 * number, 1_700_000_000_123_456_789 + number)


def test_each_state_has_its_meaning() -> None:
    states = {1: SAME, 2: DIFFERS, 3: CORRUPT, 4: ABSENT}
    records = [
        pack_record(
            version(number), place(0), XXH3_128, DIGEST, None if state == ABSENT else version(number), state
        )
        for number, state in states.items()
    ]
    batches = [b"".join(records[:2]), b"".join(records[2:])]
    findings = Findings.from_batches(batches, [])
    assert batches == []
    assert {len(each) for each in records} == {RECORD_BYTES}
    assert [n for n in states if findings.is_same(version(n))] == [1]
    assert [n for n in states if findings.is_differing(version(n))] == [2, 3]
    assert [n for n in states if findings.has_complete(version(n), bytes.fromhex(DIGEST))] == [1, 2, 4]
    assert [n for n in states if findings.has_other_size(version(n).path)] == [4]
    assert findings.n_corrupt == 1
    assert not findings.has_complete(version(1), bytes.fromhex(OTHER))
    assert not findings.has_complete(version(5), bytes.fromhex(DIGEST))


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("first", [SAME, DIFFERS])
def test_of_one_version_what_was_sent_last_counts(first: bytes, step: int) -> None:
    last = DIFFERS if first == SAME else SAME
    both = [
        pack_record(version(1), place(offset), XXH3_128, digest, version(1), state)
        for offset, digest, state in ((3, DIGEST, first), (8, OTHER, last))
    ][::step]
    findings = Findings.from_batches(both, [])
    assert findings.is_same(version(1)) == (last == SAME)
    assert findings.has_complete(version(1), bytes.fromhex(OTHER))
    assert not findings.has_complete(version(1), bytes.fromhex(DIGEST))


def test_a_local_file_may_be_another_version_with_the_same_bytes() -> None:
    touched = version(1)._replace(mtime_ns=5)
    findings = Findings.from_batches([pack_record(version(1), place(0), XXH3_128, DIGEST, touched, SAME)], [])
    assert findings.is_same(touched)
    assert not findings.is_same(version(1))


def test_openmsistreams_mtime_was_rounded_to_float_seconds() -> None:
    rounded = version(1)._replace(mtime_ns=round(version(1).mtime_ns / 1e9 * 1e9))
    assert rounded != version(1)
    findings = Findings.from_batches([pack_record(rounded, place(0), SHA512, "c" * 128, None, ABSENT)], [])
    assert findings.has_complete(version(1), bytes.fromhex(DIGEST))  # it states no xxh3_128 to compare with


@pytest.mark.parametrize(
    ("places", "last"),
    [
        pytest.param([place(1), place(2)], 1, id="by offset"),
        pytest.param([place(9, 0, 5), place(2, 1, 6)], 1, id="by time between partitions"),
        pytest.param([place(9, 0, 7), place(2, 1, 6)], 0, id="by time, whatever the order of reading"),
    ],
)
def test_only_the_version_that_was_sent_last_is_the_same(places: list[bytes], last: int) -> None:
    versions = [version(1), version(1)._replace(mtime_ns=5)]
    records = [pack_record(v, p, XXH3_128, DIGEST, v, SAME) for v, p in zip(versions, places)]
    findings = Findings.from_batches([b"".join(records)], [], {path_hash(version(1).path)})
    assert [findings.is_same(each) for each in versions] == [number == last for number in range(2)]
    assert findings.is_outdated(versions[1 - last])
    assert all(findings.has_complete(each, bytes.fromhex(DIGEST)) for each in versions)
    assert findings.is_past(version(3)._replace(path=version(1).path), place(0, 0, 1))
    assert not findings.is_past(version(3)._replace(path=version(1).path), place(10, 2, 9))
    assert findings.is_past(versions[last], place(10, 2, 9))


@pytest.mark.parametrize("path", [b"folder", b"folder/file1"])
@pytest.mark.parametrize(("clash", "is_same"), [(place(4), True), (place(6), False)])
def test_a_file_that_had_to_make_room_is_not_the_same(path: bytes, clash: bytes, is_same: bool) -> None:
    record = pack_record(version(1), place(5), XXH3_128, DIGEST, version(1), SAME)
    findings = Findings.from_batches([record], [pack_clash(path, clash) + pack_clash(path, place(1))])
    assert findings.is_same(version(1)) == is_same
    assert findings.is_outdated(version(1))  # which is asked for only if it is not the same


def test_a_corrupt_version_before_an_intact_one_does_not_count() -> None:
    touched = version(1)._replace(mtime_ns=5)
    for offset, n_corrupt in ((1, 0), (9, 1)):
        records = [
            pack_record(version(1), place(5), XXH3_128, DIGEST, version(1), SAME),
            pack_record(touched, place(offset), XXH3_128, OTHER, None, CORRUPT),
        ]
        findings = Findings.from_batches(records, [])
        assert findings.is_same(version(1))  # a download keeps it in place
        assert findings.n_corrupt == n_corrupt
