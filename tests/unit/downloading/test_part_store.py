"""The parts of a fetcher: found again, few in memory, and given from one fetcher to another."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from dfud.core.decode import read_chunk
from dfud.downloading import part_store as module
from dfud.downloading.parts import NOTE, PART
from dfud.messages import PartReport, Released
from tests.helpers.downloading import Record, native, openmsi
from tests.helpers.fetching import NOW, Bench, bench

__all__ = ["bench"]

DATA = random.Random(1).randbytes(3500)  # four chunks


def identity(record: Record) -> bytes:
    return read_chunk(record.key, record.value, record.headers).identity()


F = identity(native(b"f", DATA, NOW)[0])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    """Two fetchers of one directory."""
    with contextlib.closing(Bench(tmp_path, 0, 2)) as first, contextlib.closing(Bench(tmp_path, 1, 2)) as second:
        yield first, second


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# Finding


def test_a_part_is_found_again_as_its_note_has_it(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(records[0], records[3])
    before = bench.shelf.find(F)
    assert before is not None
    bench.save()
    bench.restart()
    after = bench.shelf.find(F)
    assert after is not None
    assert after is not before
    assert after.note() == before.note() == bench.note().read_bytes()
    assert after.assembly.spans.ranges() == ((1, 1000), (3001, 3500))
    assert bench.shelf.find(F) is after
    assert bench.shelf.find(b"another".ljust(16)) is None


def test_a_part_that_was_never_saved_is_not_found_and_leaves_nothing(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0])
    bench.restart()
    assert bench.shelf.find(F) is None
    assert bench.left() == []


def test_each_fetcher_takes_over_its_own_parts_only(pair: tuple[Bench, Bench]) -> None:
    one, two = identity(native(b"one", DATA, NOW)[0]), identity(native(b"two", DATA, NOW)[0])
    first, second = pair
    first.take(native(b"one", DATA, NOW)[0])
    second.take(native(b"two", DATA, NOW)[0])
    first.save()
    second.save()
    first.restart()
    second.restart()
    assert first.shelf.find(one) is not None
    assert first.shelf.find(two) is None
    assert second.shelf.find(two) is not None
    assert second.shelf.find(one) is None


def test_two_parts_of_one_version_become_one_when_a_fetcher_has_an_heir(pair: tuple[Bench, Bench]) -> None:
    records = native(b"f", DATA, NOW)
    first, second = pair
    first.take(*records[:2])
    second.take(*records[2:])
    first.save()
    second.save()
    second.folder.hand_over(1)
    first.restart()
    assert first.files() == {b"f": DATA}
    assert len(first.left(PART)) == 1, "a part is removed before what went into another is on disk"
    first.save()
    assert first.left() == []


@pytest.mark.parametrize(("later", "is_kept"), [(-1, True), (0, False), (1, True)])
def test_of_a_version_that_is_in_its_place_nothing_is_kept(bench: Bench, later: int, is_kept: bool) -> None:
    """Another fetcher has put it there, and was killed before it removed what went into it."""
    bench.take(native(b"f", DATA, NOW)[0])
    bench.save()
    (bench.top / "f").write_bytes(DATA)
    os.utime(bench.top / "f", ns=(NOW + later, NOW + later))
    bench.restart()
    assert len(bench.left()) == (2 if is_kept else 0)
    assert (bench.shelf.find(F) is not None) == is_kept


# Files


def test_a_part_whose_file_was_removed_begins_anew_under_another_name(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0])
    part = bench.shelf.find(F)
    assert part is not None
    bench.shelf.close_file(part)
    removed = bench.part()
    removed.unlink()
    bench.shelf.descriptor(part)
    assert bench.part() != removed
    assert not part.assembly.spans
    assert bench.told == ["the part of f was removed (No such file or directory): it begins anew"]


def test_a_link_that_is_planted_for_a_part_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    records = native(b"f", DATA, NOW)
    bench.take(records[0])
    bench.save()
    bench.part().unlink()
    bench.note().with_suffix(PART).symlink_to(outside)
    bench.restart()
    bench.take(*records[1:])
    assert outside.read_bytes() == b"untouched"
    bench.take(records[0])
    assert bench.files() == {b"f": DATA}
    assert not (bench.top / "f").is_symlink()


def test_few_files_are_open_but_always_the_one_that_is_written(bench: Bench) -> None:
    before = open_files()
    records = [native(b"%d" % number, DATA, NOW) for number in range(200)]
    bench.take(*(each[0] for each in records))
    assert open_files() - before <= 128
    busy = bench.shelf.find(identity(records[199][0]))
    assert busy is not None
    bench.shelf.busy = busy
    for each in records[:199]:
        part = bench.shelf.find(identity(each[0]))
        assert part is not None
        bench.shelf.descriptor(part)
    assert busy.descriptor >= 0
    bench.shelf.busy = None
    bench.take(*(record for each in records for record in each[1:]))
    assert len(bench.files()) == 200
    assert set(bench.files().values()) == {DATA}
    assert open_files() == before


def test_few_parts_are_in_memory_and_none_before_it_is_on_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", 5)
    records = [native(b"%d" % number, DATA, NOW) for number in range(12)]
    identities = [identity(each[0]) for each in records]

    def in_memory() -> int:
        return sum(each in bench.shelf for each in identities)

    bench.take(*(each[0] for each in records[:10]))
    assert in_memory() == 10
    bench.checkpoints._begin({0: 10})
    bench.take(*(each[1] for each in records[:10]), *(each[0] for each in records[10:]))
    bench.checkpoints._running.wait()  # type: ignore[union-attr]
    assert bench.checkpoints._end()
    assert in_memory() == 12, "what the disk does not have yet is forgotten"
    bench.save()
    assert in_memory() == 5
    bench.take(*(record for each in records for record in each[1:]))
    assert set(bench.files().values()) == {DATA}
    assert len(bench.files()) == 12
    bench.save()
    assert bench.left() == []


def test_the_file_in_its_place_may_go_before_it_is_copied(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    bench.take(native(b"f", DATA, NOW)[0])
    part = bench.shelf.find(F)
    assert part is not None
    assert part.in_place
    bench.shelf.close_file(part)
    (bench.top / "f").unlink()
    bench.shelf.start_from_place(part)
    assert not part.in_place
    assert not part.assembly.spans
    assert bench.part().read_bytes() == b""


# What outlives us


def test_a_snapshot_has_what_changed_since_the_last_one(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0], native(b"g", DATA, NOW)[0])
    assert len(bench.shelf.snapshot().notes) == 2
    bench.take(native(b"g", DATA, NOW)[1])
    ((name, text),) = bench.shelf.snapshot().notes
    assert name.identity == identity(native(b"g", DATA, NOW)[0])
    assert b'"1-2000"' in text
    assert bench.shelf.snapshot() == ([], [])


def test_a_snapshot_that_failed_is_in_the_next_one(pair: tuple[Bench, Bench]) -> None:
    bench, other = pair
    records = native(b"f", DATA, NOW)
    other.take(records[1])
    gift = other.shelf.give(F)
    bench.take(records[0], native(b"given", DATA, NOW)[0])
    bench.shelf.give(identity(native(b"given", DATA, NOW)[0]))
    bench.assembler.merge(F, [gift])
    first = bench.assembler.snapshot()
    bench.shelf.not_saved(first)
    second = bench.assembler.snapshot()
    assert sorted(second.notes) == sorted(first.notes)
    assert len(second.notes) == 2
    assert [str(name) for name in second.rubbish] == [str(name) for name in first.rubbish] == [gift.name]


# Several fetchers


def test_a_file_is_made_whole_of_what_two_fetchers_have(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    first.take(records[0], records[3])
    second.take(records[1], records[2], records[3])
    part = second.shelf.find(F)
    assert part is not None
    digest = xxhash.xxh3_128_hexdigest(DATA)
    gift = second.shelf.give(F)
    assert gift == Released(F, str(part.name), 3500, digest, ((1001, 3500),))
    before = open_files()
    first.assembler.merge(F, [gift])
    assert open_files() < before, "the part that is done with stays open, or what went into it"
    assert first.files() == {b"f": DATA}
    assert gift.name + PART in first.left()
    second.save()
    first.save()
    assert first.left() == []


def test_what_was_taken_over_is_there_after_a_restart(pair: tuple[Bench, Bench]) -> None:
    """Only the giver knew of the size: it had the last chunk."""
    first, second = pair
    records = openmsi(b"o", DATA, 1.7e9)
    first.take(records[0])
    second.take(records[3])
    first.save()
    first.assembler.merge(identity(records[0]), [second.shelf.give(identity(records[0]))])
    first.save()
    first.restart()
    first.take(*records[1:3])
    assert first.files() == {b"o": DATA}


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_was_given_is_saved_by_its_giver_until_it_is_elsewhere(
    pair: tuple[Bench, Bench], is_saved: bool
) -> None:
    """Its giver commits the offsets of its chunks, whatever becomes of who takes it."""
    _, giver = pair
    records = native(b"f", DATA, NOW)
    giver.take(*records[2:])
    if is_saved:
        giver.save()
    giver.shelf.give(F)
    assert F not in giver.shelf
    giver.save()
    assert len(giver.left(NOTE)) == 1
    giver.restart()
    giver.take(*records[:2])
    assert giver.files() == {b"f": DATA}


def test_who_has_nothing_gives_nothing(bench: Bench) -> None:
    nothing = Released(F, "", None, "", ())
    assert bench.shelf.give(F) == nothing
    bench.take(*native(b"f", DATA, NOW))
    bench.take(native(b"f", DATA, NOW)[0])
    assert F in bench.shelf
    assert bench.shelf.give(F) == nothing, "the file in its place is given away"


def test_what_is_given_for_a_file_that_is_in_its_place_is_removed(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    second.take(records[0])
    first.take(*records)
    first.assembler.merge(
        F, [second.shelf.give(F), Released(F, "", None, "", ()), Released(F, "../f", None, "", ())]
    )
    second.save()
    assert len(first.left()) == 2
    first.save()
    assert first.left() == []
    assert first.files() == {b"f": DATA}


def test_a_gift_that_was_removed_is_no_gift(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    second.take(*records[:2])
    first.take(*records[2:])
    gift = second.shelf.give(F)
    (second.parts / (gift.name + PART)).unlink()
    first.assembler.merge(F, [gift])
    assert first.files() == {}
    first.take(*records[:2])
    assert first.files() == {b"f": DATA}


def test_only_what_is_new_is_told(bench: Bench) -> None:
    spread, native_file = openmsi(b"o", DATA, 1.7e9), native(b"f", DATA, NOW)
    bench.take(spread[0], native_file[0])
    assert bench.shelf.spread() == [PartReport(identity(spread[0]), None, ((1, 1000),))]
    assert bench.shelf.held() == [PartReport(F, 3500, ((1, 1000),))]
    assert bench.shelf.held() == []
    bench.take(*native_file[1:], spread[3])
    assert bench.shelf.held() == [
        PartReport(F, None, ()),  # it is in its place
        PartReport(identity(spread[0]), 3500, ((1, 1000), (3001, 3500))),
    ]
    bench.save()
    bench.restart()
    assert bench.shelf.held() == [PartReport(identity(spread[0]), 3500, ((1, 1000), (3001, 3500)))]
    assert bench.shelf.held() == []


def test_what_others_can_t_make_whole_is_not_told(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    bench.take(native(b"f", DATA, NOW)[0])  # found in its place
    bench.take(*native(b"g", DATA, NOW, xxh3_128=b"0" * 32))
    assert bench.shelf.held() == []


def test_a_part_of_many_pieces_is_told_of_less_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW", 2)
    records = openmsi(b"o", DATA, 1.7e9)
    bench.take(records[0], records[2])
    assert bench.shelf.spread() == []
    assert len(bench.shelf.held()) == 1
