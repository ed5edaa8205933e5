"""From messages to files: in any order, received twice, of several versions, wrong, and after a crash."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable

import msgspec
import pytest
import xxhash

from dfud.downloading.offsets import Position
from tests.helpers.downloading import Record, native, openmsi
from tests.helpers.fetching import DATA, NOW, Bench, Taken, bench

__all__ = ["bench"]

Maker = Callable[[bytes, bytes], list[Record]]  # path, data

FORMATS = [
    pytest.param(lambda path, data: native(path, data, NOW), id="native"),
    pytest.param(lambda path, data: openmsi(path, data, NOW / 1e9), id="openmsistream"),
]


# Any order


@pytest.mark.parametrize("make", FORMATS)
def test_a_file_appears_complete_whatever_the_order(bench: Bench, make: Maker) -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        path = b"folder/%d" % number
        records = make(path, DATA)
        for at in order[:3]:
            bench.take(records[at])
            assert path not in bench.files()
        bench.take(records[order[3]])
        assert bench.files()[path] == DATA
    assert bench.left() == []
    assert bench.reported == []


@pytest.mark.parametrize("make", FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_mixed_files_and_duplicate_chunks_in_one_batch(bench: Bench, make: Maker, seed: int) -> None:
    generator = random.Random(seed)
    files = {b"%d" % n: generator.randbytes(size) for n, size in enumerate((1, 999, 1000, 2000, 2001, 9000))}
    records = [record for path, data in files.items() for record in make(path, data)]
    records += generator.sample(records, len(records) // 2)
    generator.shuffle(records)
    counts = bench.take(*records)
    assert bench.files() == files
    assert bench.end() == []
    assert bench.left() == []
    assert counts.files >= len(files)
    assert counts.messages == len(records)


def test_the_mtime_is_that_of_the_sender(bench: Bench) -> None:
    bench.take(*native(b"one", b"1", NOW), *native(b"several", DATA, -NOW))
    assert (bench.top / "one").stat().st_mtime_ns == NOW
    assert (bench.top / "several").stat().st_mtime_ns == -NOW


def test_a_long_file_and_another_between_its_chunks(bench: Bench) -> None:
    """There are more chunks than are written at once, and those of another file interrupt a run."""
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
def test_a_file_in_place_is_not_written_again(bench: Bench, data: bytes) -> None:
    bench.take(*native(b"f", data, NOW))
    before = os.stat(bench.top / "f")
    counts = bench.take_all_again()
    assert counts.duplicates == counts.messages
    after = os.stat(bench.top / "f")
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("n_first", range(1, 4))
@pytest.mark.parametrize("chunk_size", [300, 1500, 4000])
def test_a_version_in_chunks_of_two_sizes_is_completed_by_either(
    bench: Bench, n_first: int, chunk_size: int
) -> None:
    """A chunk size of 4000 makes it one chunk, which replaces the part instead of completing it."""
    bench.take(*native(b"f", DATA, NOW)[:n_first], *native(b"f", DATA, NOW, chunk_size))
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []


def test_a_version_in_place_is_received_in_several_chunks_and_in_one(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    counts = bench.take(native(b"f", DATA, NOW)[0], *native(b"f", DATA, NOW, 4000))
    assert counts.duplicates == 1
    assert bench.files() == {b"f": DATA}
    assert bench.end() == bench.reported == bench.left() == []


# Several versions


@pytest.mark.parametrize("old", [b"old", b"o" * 2500])
@pytest.mark.parametrize("new", [b"new", b"n" * 3500])
@pytest.mark.parametrize("later", [-1, 1])
def test_the_version_that_was_sent_last_stays_whatever_its_mtime(
    bench: Bench, old: bytes, new: bytes, later: int
) -> None:
    """What is left of a version that another one has overtaken is nothing to be named."""
    first, second = native(b"f", old, NOW), native(b"f", new, NOW + later)
    for n_taken in range(len(first) + 1):
        bench.take(*first[:n_taken], *second)
        assert bench.files() == {b"f": new}
        bench.take_all_again()
        assert bench.files() == {b"f": new}
        assert bench.end() == bench.left() == []


@pytest.mark.parametrize("a", [b"a", b"a" * 2500])
@pytest.mark.parametrize("b", [b"b", b"b" * 3500])
def test_a_version_that_is_sent_again_after_another_one_is_the_last(bench: Bench, a: bytes, b: bytes) -> None:
    for data, mtime_ns in ((a, NOW), (b, NOW + 1), (a, NOW)):
        bench.take(*native(b"f", data, mtime_ns))
        assert bench.files() == {b"f": data}
    bench.take_all_again()
    bench.restart()
    bench.take_all_again()
    assert bench.files() == {b"f": a}
    assert bench.end() == bench.left() == []


def test_versions_of_one_time_whose_size_only_the_last_chunk_states(bench: Bench) -> None:
    a, b = openmsi(b"f", DATA, 1.5e9), openmsi(b"f", b"short", 1.5e9)
    bench.take(*a, *b)
    bench.take_all_again()
    assert bench.files() == {b"f": b"short"}
    bench.take(*a)
    assert bench.files() == {b"f": DATA}
    assert bench.end() == bench.left() == []


def test_what_was_sent_of_a_version_after_the_last_complete_one_is_incomplete(bench: Bench) -> None:
    """Only it is named, with its place on the topic; what was sent again of the version in place is not."""
    bench.take(*native(b"f", b"o" * 3500, NOW), *native(b"f", DATA, NOW + 1))
    bench.take(*native(b"f", DATA, NOW + 1)[2:], *native(b"f", b"o" * 3500, NOW)[:2])
    assert bench.files() == {b"f": DATA}
    assert bench.end() == [
        "f is incomplete: 2000 of 3500 bytes received; missing chunks: 3-4 "
        "(received from partition 0, offsets 10 to 11)"
    ]


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_file_that_was_edited_locally_stays_until_a_newer_version(bench: Bench, data: bytes) -> None:
    bench.take(*native(b"f", b"before", NOW), *native(b"f", data, NOW - 1))
    (bench.top / "f").write_bytes(b"edited")
    bench.take_all_again()
    assert bench.files() == {b"f": b"edited"}
    assert bench.end() == bench.left() == []
    bench.take(*native(b"f", data, NOW - 2))
    assert bench.files() == {b"f": data}


@pytest.mark.parametrize("size", [10, 3500])
def test_other_bytes_of_the_same_version_replace_the_earlier_ones(bench: Bench, size: int) -> None:
    bench.take(*native(b"f", b"o" * size, NOW))
    *others, last = native(b"f", b"n" * size, NOW)
    bench.take(*others)
    assert bench.files() == {b"f": b"o" * size}
    bench.take(last)
    assert bench.files() == {b"f": b"n" * size}
    assert bench.left() == []


def test_other_bytes_replace_those_of_an_incomplete_version(bench: Bench) -> None:
    bench.take(*native(b"f", b"o" * 3500, NOW)[:2])
    bench.take(*native(b"f", DATA, NOW))
    assert bench.files() == {b"f": DATA}
    assert bench.reported == []


def test_the_file_in_place_is_removed_while_it_is_compared(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records)
    bench.take_all_again()
    bench.store.close()
    (bench.top / "f").unlink()
    bench.take(*records)
    assert bench.files() == {b"f": DATA}


# What is wrong


def openmsi_lying() -> Record:
    """Return OpenMSIStream's only chunk of a file, with the digest of another file."""
    (record,) = openmsi(b"f", b"data", None)
    items = msgspec.msgpack.decode(record.value or b"")
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
def test_an_only_chunk_without_the_digest_of_its_file_is_refused(bench: Bench, record: Record) -> None:
    (bench.top / "f").write_bytes(b"before")
    os.utime(bench.top / "f", ns=(NOW - 1, NOW - 1))
    counts = bench.take(record)
    assert (counts.files, counts.refused) == (0, 1)
    assert bench.files() == {b"f": b"before"}
    assert bench.left() == []


def test_a_file_that_claims_to_be_large_uses_no_more_disk_than_its_chunks(bench: Bench) -> None:
    size, n_chunks = 10**12, 10**9
    changed = {
        "upload_id": xxhash.xxh3_64_hexdigest(b"f\0%d\0%d" % (size, NOW)).encode(),
        "chunk": b"%d/%d" % (n_chunks, n_chunks),
        "offset": b"%d" % (size - 1000),
        "size": b"%d" % size,
    }
    bench.take(native(b"f", bytes(1000), NOW, 1000, 0, **changed)[0])
    found = bench.part().stat()
    assert (found.st_size, found.st_blocks * 512 < 100_000) == (size, True)


def test_foreign_messages_and_excluded_files_are_counted(bench: Bench) -> None:
    counts = bench.take(Record(b"k", b"v", []), Record(None, None, []), *native(b"unwanted", DATA, NOW))
    assert (counts.foreign, counts.left_out, counts.refused) == (2, 4, 0)
    assert bench.files() == {}
    assert bench.left() == []


# After a crash


@pytest.mark.parametrize("make", FORMATS)
def test_a_restart_continues_from_what_was_committed(bench: Bench, make: Maker) -> None:
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
    assert bench.reported == []


def test_a_crash_before_the_metadata_of_a_placed_file_is_removed(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:3])
    bench.save()
    metadata = bench.metadata()
    text = metadata.read_bytes()
    bench.take(records[3])
    metadata.write_bytes(text)  # injected: it was not removed
    bench.restart()
    assert bench.left() == []
    assert bench.take_again().duplicates == 1
    assert bench.files() == {b"f": DATA}


@pytest.mark.parametrize("n_saved", range(1, 4))
def test_a_crash_while_other_bytes_of_the_same_version_are_received(bench: Bench, n_saved: int) -> None:
    bench.take(*native(b"f", b"o" * 3500, NOW))
    records = native(b"f", DATA, NOW)
    bench.take(*records[:n_saved])
    bench.save()
    bench.restart()
    bench.take(*records[n_saved:])
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []
    assert bench.reported == []


@pytest.mark.parametrize("n_saved", range(9))
@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_version_that_was_sent_twice_with_other_bytes_is_read_again(
    bench: Bench, n_saved: int, is_damaged: bool
) -> None:
    bench.take(*native(b"f", b"o" * 3500, NOW), *native(b"f", DATA, NOW))
    if is_damaged:
        (bench.top / "f").write_bytes(bytes(3500))  # injected: what was not synced is lost
        os.utime(bench.top / "f", ns=(NOW, NOW))
    bench.restart()
    bench.assembler.take([Taken(record, offset) for offset, record in enumerate(bench.log[:n_saved])])
    bench.checkpoints.finish({0: Position("id", n_saved)})
    assert is_damaged or bench.files() == {b"f": DATA}, "what was sent first has replaced it"
    bench.restart()
    bench.take_again()
    assert bench.files() == {b"f": DATA}
    assert (bench.left(), bench.reported) == ([], [])


def test_a_file_in_place_that_a_power_cut_has_damaged_is_repaired(bench: Bench) -> None:
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


def test_a_part_that_was_removed_starts_over(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    bench.restart()
    bench.part().unlink()
    bench.take(*records[2:])
    assert bench.files() == {}
    bench.take(*records[:2])
    assert bench.files() == {b"f": DATA}
