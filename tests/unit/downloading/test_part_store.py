"""The parts of a fetcher: loaded again, evicted from memory, and passed from one fetcher to another."""

from __future__ import annotations

import os

import pytest
import xxhash

from dfud.downloading import part_store as module
from dfud.downloading.part_metadata import PartMetadata
from dfud.downloading.parts_folder import METADATA_SUFFIX, PART_SUFFIX
from dfud.messages import Released
from tests.helpers.descriptors import count_descriptors
from tests.helpers.downloading import native, openmsi
from tests.helpers.fetching import DATA, NOW, Bench, F, at, bench, identity, pair

__all__ = ["bench", "pair"]

# Finding


def test_a_part_is_loaded_as_its_metadata_describes_it(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(records[0], records[3])
    before = bench.store.find(F)
    assert before is not None
    bench.save()
    bench.restart()
    after = bench.store.find(F)
    assert after is not None
    assert after is not before
    assert after.metadata() == before.metadata() == PartMetadata.from_json(bench.metadata().read_bytes())
    assert after.assembly.spans.ranges() == ((1, 1000), (3001, 3500))
    assert bench.store.find(F) is after
    assert bench.store.find(b"another".ljust(16)) is None


def test_a_part_that_was_never_saved_is_not_found_and_leaves_nothing(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0])
    bench.restart()
    assert bench.store.find(F) is None
    assert bench.left() == []


def test_each_fetcher_loads_its_own_parts_only(pair: tuple[Bench, Bench]) -> None:
    one, two = identity(native(b"one", DATA, NOW)[0]), identity(native(b"two", DATA, NOW)[0])
    first, second = pair
    first.take(native(b"one", DATA, NOW)[0])
    second.take(native(b"two", DATA, NOW)[0])
    first.save()
    second.save()
    first.restart()
    second.restart()
    assert first.store.find(one) is not None
    assert first.store.find(two) is None
    assert second.store.find(two) is not None
    assert second.store.find(one) is None


def test_two_parts_of_one_version_become_one_after_reassignment(pair: tuple[Bench, Bench]) -> None:
    records = native(b"f", DATA, NOW)
    first, second = pair
    first.take(*records[:2])
    second.take(*records[2:])
    first.save()
    second.save()
    second.folder.reassign(1)
    first.restart()
    assert first.files() == {b"f": DATA}
    assert len(first.left(PART_SUFFIX)) == 1, "a part is removed before its bytes are on disk in another"
    first.save()
    assert first.left() == []


@pytest.mark.parametrize(("later", "is_kept"), [(-1, True), (0, False), (1, True)])
def test_the_part_of_a_version_that_is_in_place_is_removed(bench: Bench, later: int, is_kept: bool) -> None:
    """Another fetcher has put it there, and was killed before it removed what it had merged."""
    bench.take(native(b"f", DATA, NOW)[0])
    bench.save()
    (bench.top / "f").write_bytes(DATA)
    os.utime(bench.top / "f", ns=(NOW + later, NOW + later))
    bench.restart()
    assert len(bench.left()) == (2 if is_kept else 0)
    assert (bench.store.find(F) is not None) == is_kept


def test_a_part_is_evicted_from_memory_only_when_it_is_on_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", 5)
    records = [native(b"%d" % number, DATA, NOW) for number in range(12)]
    identities = [identity(each[0]) for each in records]

    def in_memory() -> int:
        return sum(each in bench.store for each in identities)

    bench.take(*(each[0] for each in records[:10]))
    assert in_memory() == 10
    bench.checkpoints.start({0: at(10)})
    bench.take(*(each[1] for each in records[:10]), *(each[0] for each in records[10:]))
    bench.checkpoints.wait()
    assert bench.checkpoints.end()
    assert in_memory() == 12, "a part that is not on disk yet is evicted"
    bench.save()
    assert in_memory() == 5
    bench.take(*(record for each in records for record in each[1:]))
    assert set(bench.files().values()) == {DATA}
    assert len(bench.files()) == 12
    bench.save()
    assert bench.left() == []


@pytest.mark.parametrize("max_parts", [0, 5], ids=["on disk", "in memory"])
@pytest.mark.parametrize(("path", "rival"), [(b"x/y", b"x"), (b"x", b"x/y")], ids=["below a file", "a folder"])
def test_a_part_of_a_path_that_was_a_folder_or_a_file_meanwhile_is_completed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, max_parts: int, path: bytes, rival: bytes
) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", max_parts)
    records = native(path, DATA, NOW)
    bench.take(*records[:2])
    bench.save()
    assert (identity(records[0]) in bench.store) == bool(max_parts)
    bench.take(*native(rival, b"for a while", NOW))
    assert bench.files() == {rival: b"for a while"}
    bench.take(*records[2:])
    bench.save()
    assert bench.files() == {path: DATA}
    assert bench.left() == []


# Other fetchers


def open_files() -> int:
    return count_descriptors()


def test_a_file_is_merged_from_what_two_fetchers_have(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    first.take(records[0], records[3])
    second.take(records[1], records[2], records[3])
    part = second.store.find(F)
    assert part is not None
    digest = xxhash.xxh3_128_hexdigest(DATA)
    released = second.store.release(F)
    assert released == Released(
        F, str(part.name), 3500, digest, ((1001, 3500),), *["- 0 0 1700000100000", "- 0 2 1700000100002"]
    )
    before = open_files()
    first.assembler.merge(F, [released])
    assert open_files() < before, "the placed part stays open, or the one that was merged"
    assert first.files() == {b"f": DATA}
    assert released.name + PART_SUFFIX in first.left()
    second.save()
    first.save()
    assert first.left() == []


def test_a_chunk_that_was_merged_is_received_again(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    first.take(*records[:2])
    second.take(records[2])
    first.assembler.merge(F, [second.store.release(F)])
    assert first.take(records[2]).duplicates == 1
    assert first.take(records[3]).files == 1
    assert first.files() == {b"f": DATA}


def test_merged_bytes_are_there_after_a_restart(pair: tuple[Bench, Bench]) -> None:
    """Only the donor knew the size: it had the last chunk."""
    first, second = pair
    records = openmsi(b"o", DATA, 1.7e9)
    first.take(records[0])
    second.take(records[3])
    first.save()
    first.assembler.merge(identity(records[0]), [second.store.release(identity(records[0]))])
    first.save()
    first.restart()
    first.take(*records[1:3])
    assert first.files() == {b"o": DATA}


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_released_part_is_saved_by_its_donor_until_it_is_merged(
    pair: tuple[Bench, Bench], is_saved: bool
) -> None:
    """The donor commits the offsets of its chunks, whatever becomes of the fetcher that merges it."""
    _, donor = pair
    records = native(b"f", DATA, NOW)
    donor.take(*records[2:])
    if is_saved:
        donor.save()
    donor.store.release(F)
    assert F not in donor.store
    donor.save()
    assert len(donor.left(METADATA_SUFFIX)) == 1
    donor.restart()
    donor.take(*records[:2])
    assert donor.files() == {b"f": DATA}


def test_there_is_nothing_to_release(bench: Bench) -> None:
    nothing = Released(F, "", None, "", ())
    assert bench.store.release(F) == nothing
    bench.take(*native(b"f", DATA, NOW))
    bench.take_all_again()
    assert F in bench.store
    assert bench.store.release(F) == nothing, "the file in place is released"


def test_what_is_released_for_a_file_in_place_is_removed(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    second.take(records[0])
    first.take(*records)
    first.assembler.merge(
        F, [second.store.release(F), Released(F, "", None, "", ()), Released(F, "../f", None, "", ())]
    )
    second.save()
    assert len(first.left()) == 2
    first.save()
    assert first.left() == []
    assert first.files() == {b"f": DATA}


def test_a_released_part_was_removed(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    records = native(b"f", DATA, NOW)
    second.take(*records[:2])
    first.take(*records[2:])
    released = second.store.release(F)
    (second.parts / (released.name + PART_SUFFIX)).unlink()
    first.assembler.merge(F, [released])
    assert first.files() == {}
    first.take(*records[:2])
    assert first.files() == {b"f": DATA}
