"""What the readers of a verification have found, merged."""

from __future__ import annotations

import pytest

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.version import FileVersion
from dfud.verifying.findings import (
    ABSENT,
    CORRUPT,
    DIFFERS,
    RECORD_BYTES,
    SAME,
    Findings,
    pack_record,
    path_hash,
)

DIGEST, OTHER = "a" * 32, "b" * 32


def version(number: int) -> FileVersion:
    return FileVersion(b"folder/file%d" % number, 10 * number, 1_700_000_000_123_456_789 + number)


def test_each_state_has_its_meaning() -> None:
    states = {1: SAME, 2: DIFFERS, 3: CORRUPT, 4: ABSENT}
    records = [
        pack_record(version(number), XXH3_128, DIGEST, None if state == ABSENT else version(number), state)
        for number, state in states.items()
    ]
    batches = [b"".join(records[:2]), b"".join(records[2:])]
    findings = Findings.from_batches(batches, [path_hash(b"seen")])
    assert batches == []
    assert {len(each) for each in records} == {RECORD_BYTES}
    assert [n for n in states if findings.is_same(version(n))] == [1]
    assert [n for n in states if findings.is_differing(version(n))] == [2, 3]
    assert [n for n in states if findings.has_complete(version(n), bytes.fromhex(DIGEST))] == [1, 2, 4]
    assert not findings.has_complete(version(1), bytes.fromhex(OTHER))
    assert not findings.has_complete(version(5), bytes.fromhex(DIGEST))
    assert findings.has_other_size(b"seen")
    assert not findings.has_other_size(b"unseen")


@pytest.mark.parametrize("first", [SAME, DIFFERS])
def test_the_last_record_of_a_version_counts(first: bytes) -> None:
    last = DIFFERS if first == SAME else SAME
    both = [
        pack_record(version(1), XXH3_128, digest, version(1), state)
        for digest, state in ((DIGEST, first), (OTHER, last))
    ]
    findings = Findings.from_batches(both, [])
    assert findings.is_same(version(1)) == (last == SAME)
    assert findings.has_complete(version(1), bytes.fromhex(OTHER))
    assert not findings.has_complete(version(1), bytes.fromhex(DIGEST))


def test_a_local_file_may_be_another_version_with_the_same_bytes() -> None:
    touched = version(1)._replace(mtime_ns=5)
    findings = Findings.from_batches([pack_record(version(1), XXH3_128, DIGEST, touched, SAME)], [])
    assert findings.is_same(touched)
    assert not findings.is_same(version(1))


def test_openmsistreams_mtime_was_rounded_to_float_seconds() -> None:
    rounded = version(1)._replace(mtime_ns=round(version(1).mtime_ns / 1e9 * 1e9))
    assert rounded != version(1)
    findings = Findings.from_batches([pack_record(rounded, SHA512, "c" * 128, None, ABSENT)], [])
    assert findings.has_complete(version(1), bytes.fromhex(DIGEST))  # it states no xxh3_128 to compare with
