"""Complete parts are put in place, and those that cannot be are kept."""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from pathlib import Path

import pytest

from dfud.core.assembly import Assembly
from dfud.downloading import doubts
from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, bench

__all__ = ["bench"]


def test_a_file_with_a_wrong_digest_is_kept_and_reported_once(bench: Bench) -> None:
    lying = native(b"f", DATA, NOW)
    lying[-1] = native(b"f", DATA, NOW, xxh3_128=b"0" * 32)[-1]
    assert bench.take(*lying).wrong == 1
    assert bench.files() == {}
    assert bench.part().read_bytes() == DATA
    bench.save()
    bench.restart()
    bench.take(*lying)
    assert bench.files() == {}
    assert bench.reported == ["f: all chunks received, but the digest does not match; kept in LOGS"]
    bench.take(*native(b"f", DATA[:-1] + b"x", NOW))  # the sender has corrected it
    assert bench.files() == {b"f": DATA[:-1] + b"x"}
    assert bench.left() == []


def test_a_file_with_a_wrong_digest_is_checked_again_when_it_has_been_received_with_other_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it back after each of its chunks would take time that grows with the square of its size."""
    checks = []
    verify = Assembly.verify
    monkeypatch.setattr(Assembly, "verify", lambda assembly, read: checks.append(verify(assembly, read)))
    lying = native(b"f", DATA, NOW, xxh3_128=b"0" * 32)
    bench.take(*lying)
    assert len(checks) == 1
    bench.take(*lying)
    assert len(checks) == 1
    for _ in range(2):
        bench.take(*native(b"f", bytes(3500), NOW, xxh3_128=b"0" * 32))
        assert len(checks) == 2


AGAIN = bytes(3500)  # in the place of DATA: a file that was rewritten behind its size and time


def test_the_last_chunk_of_a_file_that_is_sent_again_may_come_before_others(bench: Bench) -> None:
    """A sender may have several batches under way, as over a long line."""
    bench.take(*native(b"f", DATA, NOW)[:3])
    one, two, three, four = native(b"f", AGAIN, NOW)
    assert bench.take_busily(one, four, three).wrong == 0
    counts = bench.take(two)
    assert (counts.wrong, counts.files) == (0, 1)
    assert bench.files() == {b"f": AGAIN}
    assert bench.reported == bench.left() == []


def test_a_file_that_seemed_wrong_is_put_in_place_when_its_last_bytes_come_late(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW)[:3])
    one, two, three, four = native(b"f", AGAIN, NOW)
    assert bench.take(one, four, three).wrong == 1
    counts = bench.take(two)
    assert (counts.wrong, counts.files) == (-1, 1)
    assert bench.files() == {b"f": AGAIN}
    assert bench.left() == []


def test_a_large_file_that_failed_is_checked_at_the_end_whatever_that_costs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_NO_RECHECK", "_RECHECKED", "_RECHECKED_QUIET"):
        monkeypatch.setattr(doubts, name, 0)
    bench.assembler._placement.doubts._allowance = 0
    bench.take(*native(b"f", DATA, NOW)[:3])
    one, two, three, four = native(b"f", AGAIN, NOW)
    bench.take_busily(one, four, three)
    assert bench.take(two).wrong == 0
    assert bench.files() == {}
    bench.assembler.on_quiet(is_end=True)
    assert bench.files() == {b"f": AGAIN}


def test_what_has_failed_is_reported_if_nothing_more_is_read(bench: Bench) -> None:
    assert bench.take_busily(*native(b"f", DATA, NOW, xxh3_128=b"0" * 32)).wrong == 0
    bench.assembler.stop()
    assert bench.reported == ["f: all chunks received, but the digest does not match; kept in LOGS"]


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_file_whose_path_is_blocked_is_kept_until_it_is_free(bench: Bench, tmp_path: Path, data: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    obstacle = bench.top / "a"
    obstacle.symlink_to(outside)
    counts = bench.take(*native(b"a/f", data, NOW))
    assert (counts.files, counts.unplaced) == (0, 1)
    assert "a/f cannot be put in place: " in bench.reported[0]
    assert os.listdir(outside) == []
    bench.save()
    bench.restart()
    assert bench.part().read_bytes() == data
    obstacle.rename(bench.top / "moved")
    bench.restart()
    assert bench.files()[b"a/f"] == data
    assert bench.left() == []


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_file_that_could_not_be_put_in_place_is_received_again(bench: Bench, data: bytes) -> None:
    (bench.top / "a").symlink_to(bench.top)
    bench.take(*native(b"a/f", data, NOW))
    (bench.top / "a").unlink()
    bench.save()
    bench.restart()
    bench.take(*native(b"a/f", data, NOW))
    assert bench.files() == {b"a/f": data}
    assert bench.left() == []


def test_a_link_that_is_planted_for_the_lock_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "target" / "LOGS" / "download_from_T"
    folder.mkdir(parents=True)
    (folder / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="it is a link"):
        Bench(tmp_path / "target")
    assert not (tmp_path / "outside").exists()


def test_no_other_fetcher_checks_a_path_while_a_file_is_put_there(tmp_path: Path) -> None:
    with closing(Bench(tmp_path, n_fetchers=2)) as bench:
        place = bench.tree.place
        held = []

        def watched(name: str, dir_fd: int, path: bytes) -> None:
            held.append(not is_free())
            place(name, dir_fd, path)

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
        assert held == [True] * 4, "the last one is tried twice: there was a folder"
        assert is_free()
