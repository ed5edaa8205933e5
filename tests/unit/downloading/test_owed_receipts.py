"""Receipts are owed of what is in place and on disk, and offsets are committed only once they are sent."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dfud.downloading.owed_receipts import unpack
from tests.helpers.downloading import Record, native
from tests.helpers.fetching import DATA, NOW, Bench

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SMALL = b"small"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path / "target", with_receipts=True)) as made:
        yield made


def test_offsets_wait_for_the_receipts_of_the_files_that_they_cover(bench: Bench) -> None:
    bench.take(*native(b"f", SMALL, NOW), *native(b"g", DATA, NOW))
    assert bench.placed == [], "they are not on disk"
    bench.save()
    assert bench.committed == 0
    bench.take(*native(b"h", DATA, NOW)[:2])
    bench.save()
    assert bench.committed == 0, "what was placed before has no receipt"
    assert bench.send_receipts() == [b"f", b"g"]
    assert bench.committed == 7
    assert [(each.size, each.mtime_ns, each.xxh3_128) for each in bench.sent] == [
        (len(data), NOW, xxhash.xxh3_128_hexdigest(data)) for data in (SMALL, DATA)
    ]


def test_what_cannot_be_synced_has_no_receipt(bench: Bench) -> None:
    bench.sync_faults = [NO_SPACE]  # injected: a disk that is full
    bench.take(*native(b"f", SMALL, NOW))
    assert not bench.save()
    assert bench.placed == []
    bench.take(*native(b"g", SMALL, NOW))
    assert bench.save()
    assert bench.send_receipts() == [b"f", b"g"]


@pytest.mark.parametrize("data", [b"", SMALL, DATA])
def test_after_a_crash_what_is_in_place_is_owed_again_unless_it_was_edited(bench: Bench, data: bytes) -> None:
    bench.take(*native(b"f", data, NOW), *native(b"edited", data, NOW))
    bench.save()
    os.utime(bench.top / "edited", ns=(1, 1))
    bench.restart()
    bench.take_again()
    bench.save()
    assert bench.send_receipts() == [b"f"]
    assert bench.committed == len(bench.log)


@pytest.mark.parametrize("data", [SMALL, DATA])
def test_what_was_committed_before_it_was_put_in_place_is_owed_again_after_a_crash(
    bench: Bench, data: bytes
) -> None:
    (bench.top / "a").symlink_to(bench.top)
    bench.take(*native(b"a/f", data, NOW))
    bench.save()
    assert (bench.committed, bench.placed) == (len(bench.log), [])
    (bench.top / "a").unlink()
    for _ in range(2):  # the receipt is not sent the first time
        bench.restart()
        bench.save()
        assert len(bench.placed) == 1
    assert bench.send_receipts() == [b"a/f"]
    assert bench.left() == []
    bench.restart()
    bench.save()
    assert bench.placed == []


def test_what_is_superseded_refused_or_incomplete_has_no_receipt(bench: Bench) -> None:
    bench.take(*native(b"f", b"old", NOW), *native(b"f", b"new", NOW + 1))
    bench.take(*native(b"half", DATA, NOW)[1:], *native(b"wrong", DATA, NOW, xxh3_128=b"0" * 32))
    bench.take(*native(b"lying", b"x", NOW, xxh3_128=b"0" * 32), *native(b"unwanted", b"x", NOW))
    bench.save()
    bench.send_receipts()
    bench.take_all_again()
    bench.save()
    bench.send_receipts()
    assert [file.size for file in bench.sent] == [3, 3, 3]
    assert {file.path for file in bench.sent} == {b"f"}
    assert bench.sent[-1].mtime_ns == NOW + 1


def test_a_file_whose_chunks_are_sent_again_is_read_once_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take(*native(b"f", DATA, NOW))
    bench.save()
    bench.send_receipts()
    for _ in range(3):
        bench._take(3)
    bench.save()
    assert bench.send_receipts() == [b"f"]


def test_more_files_than_fit_into_memory_are_waited_for(bench: Bench) -> None:
    assert bench.receipts is not None
    for number in range(100):
        assert not bench.receipts.is_full
        bench.take(*native(b"%d" % number, SMALL, NOW))
    assert bench.receipts.is_full
    bench.save()
    assert bench.receipts.is_full
    bench.send_receipts()
    assert not bench.receipts.is_full
    assert bench.receipts.is_settled


FILES = st.tuples(st.integers(0, 2), st.sampled_from([0, 5, 1000, 2500]), st.integers(0, 3))
STEPS = st.lists(st.sampled_from(["take", "take", "take", "save", "send", "send one", "crash"]), max_size=25)


@given(st.lists(FILES, min_size=1, max_size=6), STEPS)
def test_whatever_happens_the_last_receipt_of_each_file_is_that_of_what_is_in_place(
    files: list[tuple[int, int, int]], steps: list[str]
) -> None:
    check_receipts(files, steps)


def test_a_file_of_several_chunks_that_was_sent_again_with_other_bytes_has_a_receipt_after_a_crash() -> None:
    check_receipts([(0, 2500, 0), (0, 2500, 0)], ["take"] * 6 + ["crash"])


def check_receipts(files: list[tuple[int, int, int]], steps: list[str]) -> None:
    """Take messages of `files` (name, size, and later than NOW by) in these steps, and compare."""
    records: list[Record] = []
    for number, (name, size, later) in enumerate(files):
        records += native(b"%d" % name, bytes([number]) * size, NOW + later)
    with tempfile.TemporaryDirectory() as folder, closing(Bench(Path(folder), with_receipts=True)) as bench:
        for step in steps:
            if step == "take" and records:
                bench.take(records.pop(0))
            elif step == "save":
                bench.save()
            elif step == "send":
                bench.send_receipts()
            elif step == "send one" and bench.placed and bench.receipts:
                bench.receipts.on_sent(bench.placed[0].number)
                bench.sent += unpack(bench.placed[0].files)
                del bench.placed[0]
            elif step == "crash":
                bench.restart()
                bench.take_again()
        bench.take(*records)
        bench.save()
        bench.send_receipts()
        last = {file.path: file for file in bench.sent}
        there = bench.files()
        assert set(last) == set(there)
        for path, data in there.items():
            assert (last[path].size, last[path].xxh3_128) == (len(data), xxhash.xxh3_128_hexdigest(data))
            assert os.stat(os.path.join(folder.encode(), path)).st_mtime_ns == last[path].mtime_ns
        assert bench.committed == len(bench.log)
