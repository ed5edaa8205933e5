"""The names that are derived from a version of a file."""

from __future__ import annotations

import pytest
import xxhash

from dfud.core.version import FileStamp, FileVersion

VERSION = FileVersion(b"sub/\xff \n.bin", 12, -5)


def test_the_upload_id_is_that_of_the_contract() -> None:
    text = b"sub/\xff \n.bin\x0012\x00-5"
    assert VERSION.upload_id() == xxhash.xxh3_64_hexdigest(text).encode()
    assert len(VERSION.upload_id()) == 16


def test_an_identity_is_16_bytes_that_each_field_changes() -> None:
    others = [VERSION._replace(path=b"sub"), VERSION._replace(size=1), VERSION._replace(mtime_ns=5)]
    identities = {version.identity() for version in [VERSION, *others]}
    assert len(identities) == 4
    assert {len(identity) for identity in identities} == {16}
    assert FileVersion(*VERSION).identity() in identities


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ((7, 42), (7, 42), False),
        ((7, 42), (8, 42), True),
        ((7, 42), (7, 43), True),
        ((7, 42), (0, 42), False),
        ((7, 42), (7, 0), False),
        ((7, 42), (0, 43), True),
        ((7, 42), (0, 0), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_what_is_not_known_of_a_stamp_does_not_differ(
    one: tuple[int, int], other: tuple[int, int], differs: bool
) -> None:
    assert FileStamp(*one).differs_from(FileStamp(*other)) is differs
    assert FileStamp(*other).differs_from(FileStamp(*one)) is differs
