"""From messages to files: in any order, twice, of several versions, lying, and after a crash."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import xxhash

from tests.helpers.downloading import Record, native, openmsi
from tests.helpers.fetching import NOW, Bench, bench
from tests.helpers.full_disk import full_disk

__all__ = ["bench"]

Maker = Callable[[bytes, bytes], list[Record]]  # path, data

DATA = random.Random(1).randbytes(3500)  # four chunks
FORMATS = [
    pytest.param(lambda path, data: native(path, data, NOW), id="native"),
    pytest.param(lambda path, data: openmsi(path, data, NOW / 1e9), id="openmsistream"),
]


# Any order


@pytest.mark.parametrize("make", FORMATS)
def test_a_file_appears_whole_whatever_the_order(bench: Bench, make: Maker) -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        path = b"folder/%d" % number
        records = make(path, DATA)
        for at in order[:3]:
            bench.take(records[at])
            assert path not in bench.files()
        bench.take(records[order[3]])
        assert bench.files()[path] == DATA
    assert bench.left() == []
    assert bench.told == []


@pytest.mark.parametrize("make", FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_files_come_mixed_and_with_chunks_twice_in_one_batch(bench: Bench, make: Maker, seed: int) -> None:
    generator = random.Random(seed)
    files = {b"%d" % n: generator.randbytes(size) for n, size in enumerate((1, 999, 1000, 2000, 2001, 9000))}
    records = [record for path, data in files.items() for record in make(path, data)]
    records += generator.sample(records, len(records) // 2)
    generator.shuffle(records)
    counts = bench.take(*records)
    assert bench.files() == files
    assert bench.left() == []
    assert counts.files >= len(files)
    assert counts.messages == len(records)


def test_the_time_is_that_of_the_sender(bench: Bench) -> None:
    bench.take(*native(b"one", b"1", NOW), *native(b"several", DATA, -NOW))
    assert (bench.top / "one").stat().st_mtime_ns == NOW
    assert (bench.top / "several").stat().st_mtime_ns == -NOW


def test_a_long_file_and_another_between_its_chunks(bench: Bench) -> None:
    """More chunks than are written at once, and writing is broken off for another file."""
    long, other = random.Random(2).randbytes(1500 * 10), random.Random(3).randbytes(700 * 10)
    first, second = native(b"long", long, NOW, 10), native(b"other", other, NOW, 10)
    mixed = [record for pair in zip(first[1100:], second) for record in pair]
    bench.take(*first[:1100], *mixed)
    assert bench.files() == {b"long": long}
    bench.take(*second[400:])
    assert bench.files() == {b"long": long, b"other": other}


def test_an_empty_file(bench: Bench) -> None:
    for _ in range(2):
        bench.take(*native(b"empty", b"", NOW))
        assert bench.files() == {b"empty": b""}
    assert bench.counts.duplicates == 1


@pytest.mark.parametrize("data", [b"", b"small", DATA])
def test_what_is_in_its_place_is_not_written_again(bench: Bench, data: bytes) -> None:
    bench.take(*native(b"f", data, NOW))
    before = os.stat(bench.top / "f")
    counts = bench.take(*native(b"f", data, NOW))
    assert counts.duplicates == counts.messages
    after = os.stat(bench.top / "f")
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("n_first", range(1, 4))
@pytest.mark.parametrize("chunk_size", [300, 1500, 4000])
def test_a_version_in_chunks_of_two_sizes_is_made_whole_by_either(
    bench: Bench, n_first: int, chunk_size: int
) -> None:
    """A size of 4000 makes it one chunk, which does not make whole what is there, but is the whole."""
    bench.take(*native(b"f", DATA, NOW)[:n_first], *native(b"f", DATA, NOW, chunk_size))
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []


def test_a_version_that_is_in_its_place_comes_in_several_chunks_and_in_one(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    counts = bench.take(native(b"f", DATA, NOW)[0], *native(b"f", DATA, NOW, 4000))
    assert counts.duplicates == 2
    assert bench.told == []


# Several versions


@pytest.mark.parametrize("old", [b"old", b"o" * 2500])
@pytest.mark.parametrize("new", [b"new", b"n" * 3500])
def test_the_later_version_stays_whatever_comes_last(bench: Bench, old: bytes, new: bytes) -> None:
    for number, order in enumerate(itertools.product((0, 1), repeat=len(old + new) // 1000 + 1)):
        path = b"%d" % number
        records = native(path, old, NOW), native(path, new, NOW + 1)
        for version in order:
            if records[version]:
                bench.take(records[version].pop(0))
        bench.take(*records[0], *records[1])
        assert bench.files()[path] == new
    assert bench.left() == []


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_file_that_was_edited_here_stays_until_something_newer_comes(bench: Bench, data: bytes) -> None:
    records = native(b"f", data, NOW)
    bench.take(*records[:-1])
    (bench.top / "f").write_bytes(b"edited")  # now: later than the version
    assert bench.take(records[-1]).superseded == 1
    assert bench.take(*records).superseded == len(records)
    assert bench.files() == {b"f": b"edited"}
    assert bench.left() == []
    later = os.stat(bench.top / "f").st_mtime_ns + 1
    bench.take(*native(b"f", data, later))
    assert bench.files() == {b"f": data}


@pytest.mark.parametrize("size", [10, 3500])
def test_other_bytes_of_the_same_version_take_the_place_of_the_earlier_ones(bench: Bench, size: int) -> None:
    bench.take(*native(b"f", b"o" * size, NOW))
    *others, last = native(b"f", b"n" * size, NOW)
    bench.take(*others)
    assert bench.files() == {b"f": b"o" * size}
    bench.take(last)
    assert bench.files() == {b"f": b"n" * size}
    assert bench.left() == []


def test_other_bytes_replace_those_of_a_version_that_is_not_whole_yet(bench: Bench) -> None:
    bench.take(*native(b"f", b"o" * 3500, NOW)[:2])
    bench.take(*native(b"f", DATA, NOW))
    assert bench.files() == {b"f": DATA}
    assert bench.told == []


def test_the_file_in_its_place_is_removed_while_it_is_compared(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records)
    bench.take(records[0])
    bench.shelf.close()
    (bench.top / "f").unlink()
    bench.take(*records)
    assert bench.files() == {b"f": DATA}


# What is not true


def test_a_file_with_a_wrong_digest_is_kept_aside_and_told_of_once(bench: Bench) -> None:
    lying = native(b"f", DATA, NOW)
    lying[-1] = native(b"f", DATA, NOW, xxh3_128=b"0" * 32)[-1]
    assert bench.take(*lying).wrong == 1
    assert bench.files() == {}
    assert bench.part().read_bytes() == DATA
    bench.save()
    bench.restart()
    bench.take(*lying)
    assert bench.files() == {}
    assert bench.told == ["f has all its chunks and not its digest: it is kept aside in LOGS"]
    bench.take(*native(b"f", DATA[:-1] + b"x", NOW))  # its sender has mended it
    assert bench.files() == {b"f": DATA[:-1] + b"x"}
    assert bench.left() == []


def openmsi_lying() -> Record:
    """Return OpenMSIStream's only chunk of a file, with the digest of another file."""
    (record,) = openmsi(b"f", b"data", None)
    items = msgspec.msgpack.decode(record.value)
    items[1] = bytes(64)
    return record._replace(value=msgspec.msgpack.encode(items))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(native(b"f", b"data", NOW, xxh3_128=b"0" * 32)[0], id="wrong"),
        pytest.param(native(b"f", b"", NOW, xxh3_128=b"0" * 32)[0], id="wrong-empty"),
        pytest.param(native(b"f", b"data", NOW, xxh3_128=b"")[0], id="none"),
        pytest.param(openmsi_lying(), id="openmsistream"),
    ],
)
def test_an_only_chunk_without_the_digest_of_the_whole_comes_to_nothing(bench: Bench, record: Record) -> None:
    (bench.top / "f").write_bytes(b"before")
    os.utime(bench.top / "f", ns=(NOW - 1, NOW - 1))
    counts = bench.take(record)
    assert (counts.files, counts.refused) == (0, 1)
    assert bench.files() == {b"f": b"before"}
    assert bench.left() == []


def test_a_place_in_a_file_that_can_t_be_had_costs_nothing(bench: Bench) -> None:
    records, good = native(b"huge", bytes(5000), NOW), native(b"good", DATA[:1500], NOW)
    with full_disk(2000):
        counts = bench.take(records[0], *good[:1], records[3], good[1], records[1])
    assert counts.refused == 2  # what was written last before it was found, and what came after it
    assert bench.told == ["huge is refused: its chunks can't be written: File too large"]
    assert bench.files() == {b"good": DATA[:1500]}
    assert bench.left() == []


def test_a_chunk_that_can_t_be_written_comes_twice(bench: Bench) -> None:
    records = native(b"huge", bytes(5000), NOW)
    with full_disk(2000):
        bench.take(records[0], records[3], records[3], records[4])
    assert bench.told == ["huge is refused: its chunks can't be written: File too large"]
    assert bench.left() == []


def test_what_claims_to_be_large_costs_what_it_brings(bench: Bench) -> None:
    size, n_chunks = 10**12, 10**9
    changed = {
        "upload_id": xxhash.xxh3_64_hexdigest(b"f\0%d\0%d" % (size, NOW)).encode(),
        "chunk": b"%d/%d" % (n_chunks, n_chunks),
        "offset": b"%d" % (size - 1000),
        "size": b"%d" % size,
    }
    bench.take(native(b"f", bytes(1000), NOW, **changed)[0])
    found = bench.part().stat()
    assert (found.st_size, found.st_blocks * 512 < 100_000) == (size, True)


def test_what_is_refused_is_named_at_first_and_then_only_counted(bench: Bench) -> None:
    lies = [native(b"%d" % number, b"data", NOW, upload_id=b"0" * 16)[0] for number in range(150)]
    assert bench.take(*lies).refused == 150
    assert len(bench.told) == 101
    assert "0 is refused: its upload_id" in bench.told[0]
    assert "(partition 0, offset 99)" in bench.told[99]
    assert bench.told[100] == "further messages that are refused are only counted"


def test_what_is_foreign_or_unwanted_is_counted(bench: Bench) -> None:
    counts = bench.take(Record(b"k", b"v", []), Record(None, None, []), *native(b"unwanted", DATA, NOW))
    assert (counts.foreign, counts.left_out, counts.refused) == (2, 4, 0)
    assert bench.files() == {}
    assert bench.left() == []


# Places that can't be had


@pytest.mark.parametrize("data", [b"small", DATA])
@pytest.mark.parametrize("in_the_way", ["link", "file", "folder"])
def test_a_file_whose_place_is_taken_is_kept_aside_until_that_is_mended(
    bench: Bench, tmp_path: Path, data: bytes, in_the_way: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    obstacle = bench.top / "a"
    if in_the_way == "link":
        obstacle.symlink_to(outside)
    elif in_the_way == "file":
        obstacle.write_bytes(b"in the way")
    else:
        (obstacle / "f" / "inner").mkdir(parents=True)
    counts = bench.take(*native(b"a/f", data, NOW))
    assert (counts.files, counts.unplaced) == (0, 1)
    assert "a/f can't be put in its place: " in bench.told[0]
    assert os.listdir(outside) == []
    bench.save()
    bench.restart()
    assert bench.part().read_bytes() == data
    obstacle.rename(bench.top / "moved")
    bench.restart()
    assert bench.files()[b"a/f"] == data
    assert bench.left() == []


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_file_that_could_not_be_put_in_its_place_comes_again(bench: Bench, data: bytes) -> None:
    (bench.top / "a").write_bytes(b"in the way")
    bench.take(*native(b"a/f", data, NOW))
    (bench.top / "a").unlink()
    bench.save()
    bench.restart()
    bench.take(*native(b"a/f", data, NOW))
    assert bench.files() == {b"a/f": data}
    assert bench.left() == []


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "target" / "LOGS" / "download_from_T"
    folder.mkdir(parents=True)
    (folder / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="Too many levels"):
        Bench(tmp_path / "target")
    assert not (tmp_path / "outside").exists()


def test_no_other_fetcher_looks_at_a_place_while_a_file_is_put_there(tmp_path: Path) -> None:
    with closing(Bench(tmp_path, workers=2)) as bench:
        place = bench.tree.place
        held = []

        def watched(name: str, within: int, path: bytes) -> None:
            held.append(not is_free())
            place(name, within, path)

        def is_free() -> bool:
            with open(bench.parts / ".lock") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

        bench.tree.place = watched  # type: ignore[method-assign]
        (bench.top / "folder" / "in the way").mkdir(parents=True)
        bench.take(*native(b"one", b"1", NOW), *native(b"several", DATA, NOW), *native(b"folder", b"", NOW))
        assert held == [True] * 3
        assert is_free()


# After a crash


@pytest.mark.parametrize("make", FORMATS)
def test_a_restart_goes_on_from_what_was_committed(bench: Bench, make: Maker) -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        path = b"%d" % number
        records = make(path, DATA)
        for at in order:
            bench.take(records[at])
            bench.save()
            bench.restart()
        assert bench.files()[path] == DATA
    assert bench.left() == []


@pytest.mark.parametrize("n_saved", range(5))
@pytest.mark.parametrize("n_taken", range(5))
def test_what_was_not_committed_is_read_again(bench: Bench, n_saved: int, n_taken: int) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:n_saved])
    bench.save()
    bench.take(*records[n_saved:n_taken])
    bench.restart()
    bench.take_again()
    bench.take(*records[max(n_saved, n_taken) :])
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []
    assert bench.told == []


def test_a_crash_before_the_note_of_a_file_in_its_place_is_removed(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:3])
    bench.save()
    note = bench.note()
    text = note.read_bytes()
    bench.take(records[3])
    note.write_bytes(text)  # injected: it was not removed
    bench.restart()
    assert bench.left() == []
    assert bench.take_again().duplicates == 1
    assert bench.files() == {b"f": DATA}


@pytest.mark.parametrize("n_saved", range(1, 4))
def test_a_crash_while_other_bytes_of_the_same_version_come(bench: Bench, n_saved: int) -> None:
    bench.take(*native(b"f", b"o" * 3500, NOW))
    records = native(b"f", DATA, NOW)
    bench.take(*records[:n_saved])
    bench.save()
    bench.restart()
    bench.take(*records[n_saved:])
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []
    assert bench.told == []


def test_a_file_in_its_place_that_a_power_cut_has_damaged_is_put_right(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.take(*records[2:])
    (bench.top / "f").write_bytes(DATA[:2500] + bytes(1000))  # injected: what was not synced is lost
    os.utime(bench.top / "f", ns=(NOW, NOW))
    bench.restart()
    bench.take_again()
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []


def test_a_part_that_was_removed_begins_anew(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.restart()
    bench.part().unlink()
    bench.take(*records[2:])
    assert bench.files() == {}
    bench.take(*records[:2])
    assert bench.files() == {b"f": DATA}


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
def test_a_note_that_is_none_harms_nobody(bench: Bench, tmp_path: Path, change: dict[str, object] | None) -> None:
    """What was in its part is lost, and comes again only with all of the topic."""
    (bench.top / "a").write_bytes(b"in the way")
    bench.take(*native(b"a/f", DATA, NOW))
    bench.save()
    (bench.top / "a").unlink()
    note = bench.note()
    text = note.read_bytes()
    note.write_bytes(text[:-9] if change is None else json.dumps({**json.loads(text), **change}).encode())
    records = native(b"good", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.restart()
    bench.take(*records[2:])
    bench.save()
    assert bench.files() == {b"good": DATA}
    assert sorted(os.listdir(tmp_path)) == ["target"]


@pytest.mark.parametrize("text", [b"", b"\0" * 200, b"\xff", b"{}", b"[]", b"null", b"[" * 100_000])
def test_a_note_of_garbage_is_passed_over(bench: Bench, text: bytes) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.note().write_bytes(text)
    bench.restart()
    bench.take(*records)
    assert bench.files() == {b"f": DATA}
