"""The files of parts: written in runs, few of them open, and missing at times."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.core.decode import read_chunk
from dfud.downloading import part_files as module
from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PART_SUFFIX
from tests.helpers.descriptors import count_descriptors
from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, F, bench, identity
from tests.helpers.full_disk import full_disk

__all__ = ["bench"]


def test_a_part_whose_file_was_removed_starts_over_under_another_name(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0])
    part = bench.store.find(F)
    assert part is not None
    bench.store.files.close(part)
    removed = bench.part()
    removed.unlink()
    bench.store.files.open(part)
    assert bench.part() != removed
    assert not part.assembly.spans
    assert bench.reported == ["the part of f was removed (No such file or directory): starting it over"]


def test_a_link_that_is_planted_for_a_part_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    records = native(b"f", DATA, NOW)
    bench.take(records[0])
    bench.save()
    bench.part().unlink()
    bench.metadata().with_suffix(PART_SUFFIX).symlink_to(outside)
    bench.restart()
    bench.take(*records[1:])
    assert outside.read_bytes() == b"untouched"
    bench.take(records[0])
    assert bench.files() == {b"f": DATA}
    assert not (bench.top / "f").is_symlink()


def open_files() -> int:
    return count_descriptors()


def test_few_files_are_open(bench: Bench) -> None:
    before = open_files()
    records = [native(b"%d" % number, DATA, NOW) for number in range(200)]
    bench.take(*(each[0] for each in records))
    assert open_files() - before <= 128
    bench.take(*(record for each in records for record in each[1:]))
    assert set(bench.files().values()) == {DATA}
    assert len(bench.files()) == 200
    assert open_files() == before


def begun(bench: Bench, path: bytes) -> Part:
    """Return the part of a file, with its first chunk written."""
    record = native(path, DATA, NOW)[0]
    bench.take(record)
    part = bench.store.find(identity(record))
    assert part is not None
    return part


def test_chunks_that_wait_are_written_before_anything_that_needs_them(bench: Bench) -> None:
    """Each chunk waits for more of its run; what is read, closed or finished has it all the same."""
    files, part = bench.store.files, begun(bench, b"f")
    files.write(part, 1000, b"1" * 1000)
    assert bench.part().stat().st_size == 1000
    assert files.read(part, 3, 1999) == b"1"
    files.write(part, 2000, b"2" * 1000)
    assert files.finish_writing(part)
    assert bench.part().read_bytes()[2000:] == b"2" * 1000
    files.write(part, 3000, b"3" * 500)
    files.close(part)
    assert bench.part().read_bytes()[1000:] == b"1" * 1000 + b"2" * 1000 + b"3" * 500
    files.write(part, 0, b"0" * 1000)
    bench.store.snapshot()
    assert bench.part().read_bytes()[:1000] == b"0" * 1000
    files.write(part, 1000, b"0" * 1000)
    bench.store.release(F)
    assert bench.part().read_bytes()[:2000] == b"0" * 2000


def test_a_file_that_is_closed_to_make_room_has_the_chunks_that_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_OPEN_FILES", 2)
    files, first = bench.store.files, begun(bench, b"first")
    path = bench.part()
    files.write(first, 1000, b"1" * 1000)
    before = open_files()
    for name in (b"second", b"third", b"fourth"):
        files.create(Part(PartName.new(name.ljust(16), 0), read_chunk(*native(name, DATA, NOW)[0][:3])))
    assert open_files() - before <= 1
    assert path.read_bytes()[1000:] == b"1" * 1000
    files.write(first, 2000, b"2" * 1000)
    files.flush()
    assert path.read_bytes()[1000:] == b"1" * 1000 + b"2" * 1000


def test_a_run_of_another_part_is_not_disturbed_by_a_file_of_one_chunk(bench: Bench) -> None:
    files, part = bench.store.files, begun(bench, b"f")
    files.write(part, 1000, b"1" * 1000)
    small = Part(PartName.new(b"small".ljust(16), 0), read_chunk(*native(b"small", b"data", NOW)[0][:3]))
    files.create(small)
    files.write_file(small, b"data")
    assert files.finish_writing(small)
    assert files.read(small, 10, 0) == b"data"
    files.discard(part)
    files.flush()
    assert files.read(part, 10, 1000) == b"", "chunks of a discarded part are written"


def test_a_file_in_place_is_removed_before_it_is_copied(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    bench.take_all_again()
    part = bench.store.find(F)
    assert part is not None
    assert part.is_in_place
    bench.store.files.close(part)
    (bench.top / "f").unlink()
    bench.store.files.detach(part)
    assert not part.is_in_place
    assert not part.assembly.spans
    assert bench.part().read_bytes() == b""


def test_an_offset_that_cannot_be_written_costs_nothing(bench: Bench) -> None:
    records, good = native(b"huge", bytes(5000), NOW), native(b"good", DATA[:1500], NOW)
    with full_disk(2000):
        counts = bench.take(records[0], *good[:1], records[3], good[1], records[1])
    assert counts.refused == 2  # the chunk that could not be written, and the one after it
    assert bench.reported == ["huge refused: its chunks cannot be written: File too large"]
    assert bench.files() == {b"good": DATA[:1500]}
    assert bench.left() == []


def test_a_file_of_one_chunk_that_cannot_be_written_is_refused(bench: Bench) -> None:
    with full_disk(2000):
        counts = bench.take(native(b"huge", bytes(5000), NOW, 5000)[0], *native(b"good", DATA[:1500], NOW))
    assert (counts.refused, counts.files) == (1, 1)
    assert bench.files() == {b"good": DATA[:1500]}
    assert bench.left() == []


def test_a_chunk_that_cannot_be_written_is_received_twice(bench: Bench) -> None:
    records = native(b"huge", bytes(5000), NOW)
    with full_disk(2000):
        bench.take(records[0], records[3], records[3], records[4])
    assert bench.reported == ["huge refused: its chunks cannot be written: File too large"]
    assert bench.left() == []


def test_chunks_of_an_unwritable_part_do_not_get_into_another(bench: Bench) -> None:
    records = native(b"huge", bytes(5000), NOW)
    with full_disk(2000):
        bench.take(records[3], records[1], *native(b"good", DATA[:1500], NOW))
    assert bench.files() == {b"good": DATA[:1500]}
    assert bench.reported == ["huge refused: its chunks cannot be written: File too large"]
    assert bench.left() == []
