"""The name and the metadata of a part."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.ranges import RangeSet
from dfud.downloading.part_metadata import PartMetadata, PartName
from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, bench

__all__ = ["bench"]


# As dfud has written it up to now: directories with such parts exist.
OLD_NAME = "000102030405060708090a0b0c0d0e0f.3.89abcdef"
OLD_JSON = (
    b'{"path": "d/\\udcff.raw", "size": 3500, "mtime_ns": 1700000000123456789, "chunk_size": 1000, '
    b'"algorithm": "xxh3_128", "digest": "00112233445566778899aabbccddeeff", "spans": "1-1000 3001-3500", '
    b'"trouble": "its bytes are not those of its digest"}'
)
OLD = PartMetadata(
    b"d/\xff.raw",
    3500,
    NOW,
    1000,
    XXH3_128,
    "00112233445566778899aabbccddeeff",
    RangeSet([(1, 1000), (3001, 3500)]),
    "its bytes are not those of its digest",
)


def test_names_and_metadata_on_disk_stay_as_they_are() -> None:
    name = PartName(bytes(range(16)), 3, "89abcdef")
    assert str(name) == OLD_NAME
    assert PartName.parse(OLD_NAME) == name
    assert OLD.to_json() == OLD_JSON
    assert PartMetadata.from_json(OLD_JSON) == OLD


def test_metadata_without_what_the_sender_did_not_state() -> None:
    unknown = PartMetadata(b"f", None, None, 0, SHA512, "", RangeSet())
    assert PartMetadata.from_json(unknown.to_json()) == unknown
    before_failures_were_kept = json.loads(unknown.to_json())
    del before_failures_were_kept["trouble"]
    assert PartMetadata.from_json(json.dumps(before_failures_were_kept).encode()) == unknown


@pytest.mark.parametrize(
    "text", ["", "f" * 32, OLD_NAME + ".part", "F" + OLD_NAME[1:], OLD_NAME[:-1], "../" + OLD_NAME]
)
def test_other_names_are_not_those_of_parts(text: str) -> None:
    assert PartName.parse(text) is None


@pytest.mark.parametrize(
    ("size", "is_complete"), [(3500, False), (1000, True), (999, True), (0, True), (None, False)]
)
def test_a_part_is_complete_when_all_bytes_of_its_file_are_present(size: int | None, is_complete: bool) -> None:
    assert OLD._replace(size=size).is_complete == is_complete


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"size": "3500"}, id="size"),
        pytest.param({"mtime_ns": 1.5}, id="mtime"),
        pytest.param({"digest": 5}, id="digest"),
        pytest.param({"spans": "2-1"}, id="spans"),
        pytest.param({"trouble": None}, id="trouble"),
        pytest.param({"chunk_size": "1000"}, id="chunk-size"),
        pytest.param({"algorithm": "md5"}, id="algorithm"),
        pytest.param({"path": "../outside"}, id="path-outside"),
        pytest.param({"path": "a\0b"}, id="path-nul"),
        pytest.param({"path": None}, id="path-none"),
        pytest.param({"more": 1}, id="more"),
        pytest.param(None, id="torn"),
    ],
)
def test_invalid_metadata_harms_no_other_file(
    bench: Bench, tmp_path: Path, change: dict[str, object] | None
) -> None:
    """The bytes of its part are lost, and are received again only with the whole topic."""
    (bench.top / "a").symlink_to(tmp_path)
    bench.take(*native(b"a/f", DATA, NOW))
    bench.save()
    (bench.top / "a").unlink()
    metadata = bench.metadata()
    text = metadata.read_bytes()
    metadata.write_bytes(text[:-9] if change is None else json.dumps({**json.loads(text), **change}).encode())
    records = native(b"good", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.restart()
    bench.take(*records[2:])
    bench.save()
    assert bench.files() == {b"good": DATA}
    assert sorted(os.listdir(tmp_path)) == ["target"]


@pytest.mark.parametrize("text", [b"", b"\0" * 200, b"\xff", b"{}", b"[]", b"null", b"[" * 100_000])
def test_metadata_of_garbage_is_ignored(bench: Bench, text: bytes) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.metadata().write_bytes(text)
    bench.restart()
    bench.take(*records)
    assert bench.files() == {b"f": DATA}
