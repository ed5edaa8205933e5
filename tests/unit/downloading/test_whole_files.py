"""Files of one chunk: many of them in one batch of messages, and what is special about some of them."""

from __future__ import annotations

from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, bench

__all__ = ["bench"]


def test_more_files_than_are_put_in_place_together(bench: Bench) -> None:
    files = {b"%d" % number: b"%d" % number for number in range(150)}
    counts = bench.take(*(record for path, data in files.items() for record in native(path, data, NOW)))
    assert bench.files() == files
    assert counts.files == 150
    assert bench.left() == bench.end() == bench.reported == []


def test_versions_and_duplicates_of_one_file_in_one_batch(bench: Bench) -> None:
    first, second = native(b"f", b"first", NOW), native(b"f", b"second", NOW - 1)
    counts = bench.take(*first, *first, *native(b"other", b"", NOW), *second)
    assert bench.files() == {b"f": b"second", b"other": b""}
    assert (counts.files, counts.duplicates) == (3, 1)
    assert bench.left() == []


def test_a_version_in_several_chunks_after_one_in_a_single_chunk(bench: Bench) -> None:
    counts = bench.take(*native(b"f", b"small", NOW), *native(b"f", DATA, NOW))
    assert bench.files() == {b"f": DATA}
    assert (counts.files, counts.superseded) == (2, 0)
    counts = bench.take_all_again()
    assert bench.files() == {b"f": DATA}
    assert (counts.files, counts.superseded) == (0, 1)


def test_a_file_where_a_folder_is_in_one_batch(bench: Bench) -> None:
    bench.take(
        *native(b"a/b", b"1", NOW), *native(b"a", b"2", NOW), *native(b"c", b"3", NOW), *native(b"c/d", b"4", NOW)
    )
    assert bench.files() == {b"a": b"2", b"c/d": b"4"}
    assert bench.left() == []


def test_one_that_cannot_be_put_in_place_does_not_hold_up_the_others(bench: Bench) -> None:
    (bench.top / "a").symlink_to(bench.top)
    counts = bench.take(*native(b"1", b"1", NOW), *native(b"a/f", b"2", NOW), *native(b"3", b"3", NOW))
    assert {path: data for path, data in bench.files().items() if path != b"a"} == {b"1": b"1", b"3": b"3"}
    assert (counts.files, counts.unplaced) == (2, 1)
    assert bench.part().read_bytes() == b"2"
