"""Releasing from real directories: what goes, what stays, and why."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dfud.files import renames
from dfud.receipts.required import Required
from dfud.releasing import destination, removal
from dfud.releasing.removal import private_name
from dfud.watch.file_systems import Traits
from tests.helpers.leases import leased
from tests.helpers.releasing import OLD_NS, RECEIVER, UploadedDirectory, receipt_of


@pytest.fixture
def uploaded(tmp_path: Path) -> UploadedDirectory:
    path = tmp_path / "data"
    path.mkdir()
    return UploadedDirectory(path)


def rewrite(path: Path, data: bytes) -> None:
    """Write other bytes of the same size, and put the modification time back."""
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_is_received_goes_and_is_recorded_before_and_after(uploaded: UploadedDirectory) -> None:
    names = ["a", 'run7/b, "c"\n', ".hidden", os.fsdecode(b"odd \xff")]
    for name in names:
        uploaded.add(os.fsencode(name), name.encode("utf-8", "surrogateescape"))
    uploaded.add("unreceived", is_received=False)
    report = uploaded.release()
    assert uploaded.names() == ["unreceived"]
    assert (report.files, report.failed) == (4, 0)
    states = uploaded.states()
    assert sorted(states[:4]) == sorted((name, "releasing") for name in names)
    assert sorted(states[4:]) == sorted((name, "released") for name in names)
    assert {row.receivers for row in uploaded.released_rows()} == {f'["{RECEIVER}"]'}
    assert (uploaded.path / "run7").is_dir()


def test_nothing_goes_that_was_rewritten_at_the_same_size_and_time(uploaded: UploadedDirectory) -> None:
    path = uploaded.add("a", b"one")
    detected_later = path.stat().st_ctime_ns + 120_000_000_000
    rewrite(path, b"two")
    uploaded.release(rehash=True)
    assert uploaded.names() == ["a"]
    assert "other bytes" in uploaded.printed
    assert path.stat().st_ctime_ns < detected_later


def test_a_file_that_changed_after_its_detection_is_read_before_it_goes(uploaded: UploadedDirectory) -> None:
    same, other = uploaded.add("same", b"one"), uploaded.add("other", b"one")
    for path in (same, other):
        row = next(each for each in uploaded._rows if each.rel_filepath == path.name)
        uploaded._rows.remove(row)
        uploaded._rows.append(row._replace(started="2026-01-01T00:00:00+00:00"))
    uploaded.add("last", is_received=False)
    rewrite(other, b"two")
    uploaded.release()
    assert uploaded.names() == ["last", "other"]


def test_a_file_stays_for_which_one_receipt_is_missing_or_of_another_version(uploaded: UploadedDirectory) -> None:
    path = uploaded.add("a")
    uploaded.release(required=Required(frozenset([RECEIVER, "analysis"])))
    uploaded.release(required=Required(number=2))
    uploaded.receipts.append(receipt_of(path, uploaded.path, "analysis", b"other"))
    uploaded.release(required=Required(number=2))
    assert uploaded.names() == ["a"]
    uploaded.receipts.append(receipt_of(path, uploaded.path, "analysis"))
    uploaded.release(required=Required(number=2))
    assert uploaded.names() == []


def test_links_stay(uploaded: UploadedDirectory) -> None:
    path = uploaded.add("a")
    os.link(path, uploaded.path / "hard")
    uploaded.add("target", is_received=False)
    link = uploaded.path / "link"
    link.symlink_to("target")
    uploaded.record(link)
    uploaded.receipts.append(receipt_of(link, uploaded.path))
    report = uploaded.release()
    assert uploaded.names() == ["a", "hard", "link", "target"]
    assert "a: it has other names (hard links)" in uploaded.printed
    assert "link: it is a symbolic link" in uploaded.printed
    assert report.failed == 0


def test_a_file_stays_while_anybody_may_write_to_it(uploaded: UploadedDirectory) -> None:
    path, other = uploaded.add("a"), uploaded.add("b")
    with open(path, "ab"), leased(other, 0):
        uploaded.release()
        assert uploaded.names() == ["a", "b"]
        assert "a: a program has it open for writing" in uploaded.printed
        assert "b: another program has a write lease on it" in uploaded.printed
    uploaded.release()
    assert uploaded.names() == []


def test_where_the_kernel_does_not_say_who_writes_a_file_has_to_be_quiet(uploaded: UploadedDirectory) -> None:
    uploaded.add("a")
    uploaded.release(traits=lambda *_: Traits(is_local=False, keeps_ctime=True))
    assert uploaded.names() == ["a"]
    assert "it has changed within a minute" in uploaded.printed


# -- what happens between the check and the unlink


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Calls of these are made as soon as a file has its private name."""
    acts: list[object] = []
    aside = renames.rename_aside

    def rename_aside(dir_fd: int, name: bytes, private: bytes) -> None:
        aside(dir_fd, name, private)
        for act in acts:
            act()  # type: ignore[operator]

    monkeypatch.setattr(removal, "rename_aside", rename_aside)
    return acts


def test_a_file_is_put_back_that_a_program_is_about_to_write_to(
    uploaded: UploadedDirectory, between: list[object]
) -> None:
    path = uploaded.add("a")
    reader = os.open(path, os.O_RDONLY)  # by which another program opens it again, whatever its name
    writers = []

    def write() -> None:
        code = f"open('/proc/{os.getpid()}/fd/{reader}', 'ab').write(b'more')"
        writers.append(subprocess.Popen([sys.executable, "-c", code]))
        while not _is_waiting(writers[0].pid):
            assert writers[0].poll() is None, "the writer did not have to wait"

    between.append(write)
    uploaded.release()
    assert writers[0].wait() == 0
    os.close(reader)
    assert path.read_bytes() == b"datamore"
    assert "a: a program is about to write to it" in uploaded.printed
    assert uploaded.states()[-1] == ("a", "kept")


def _is_waiting(pid: int) -> bool:
    """Return whether a process waits for a lease to be given back."""
    return "break_lease" in Path(f"/proc/{pid}/stack").read_text() if os.geteuid() == 0 else True


@pytest.mark.parametrize("newer", [False, True])
def test_a_file_that_was_replaced_or_linked_gets_a_name_back(
    uploaded: UploadedDirectory, between: list[object], newer: bool
) -> None:
    path = uploaded.add("a")
    private = path.with_name(os.fsdecode(private_name(uploaded.receipts[0].version)))

    def act() -> None:
        os.link(private, uploaded.path / "hard")
        if newer:
            path.write_bytes(b"newer")

    between.append(act)
    uploaded.release()
    assert path.read_bytes() == (b"newer" if newer else b"data")
    assert uploaded.names() == (["a", "a.dfud-kept", "hard"] if newer else ["a", "hard"])
    assert ("is now called a.dfud-kept" in uploaded.printed) == newer
    assert uploaded.states()[-1] == ("a", "kept")


def test_a_newer_file_that_takes_the_place_stays_and_the_old_one_goes(
    uploaded: UploadedDirectory, between: list[object]
) -> None:
    path = uploaded.add("a")
    between.append(lambda: path.write_bytes(b"newer"))
    assert uploaded.release().files == 1
    assert uploaded.names() == ["a"]
    assert path.read_bytes() == b"newer"


def test_a_folder_that_becomes_a_link_leads_nowhere(uploaded: UploadedDirectory, tmp_path: Path) -> None:
    path = uploaded.add("folder/a")
    outside = tmp_path / "outside"
    path.parent.rename(outside)
    (uploaded.path / "folder").symlink_to(outside)
    uploaded.release()
    assert (outside / "a").exists()


# -- moving


def test_files_are_moved_and_nothing_is_replaced(uploaded: UploadedDirectory, tmp_path: Path) -> None:
    for name in ("run7/a", "same", "other"):
        uploaded.add(name, name.encode())
    target = tmp_path / "target"
    target.mkdir()
    (target / "same").write_bytes(b"same")
    (target / "other").write_bytes(b"which")
    report = uploaded.release(target)
    assert uploaded.names() == ["other"]
    assert (target / "run7" / "a").stat().st_mtime_ns == OLD_NS
    assert (target / "other").read_bytes() == b"which"
    assert (report.files, report.failed) == (2, 1)
    assert f"failed: other: there is another file of this path in {target}" in uploaded.printed
    assert {row.moved_to for row in uploaded.released_rows()} == {str(target)}


def test_what_took_the_private_name_is_moved_back(
    uploaded: UploadedDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = uploaded.add("a")
    private = path.with_name(os.fsdecode(private_name(uploaded.receipts[0].version)))
    target = tmp_path / "target"
    target.mkdir()

    def rename_after_a_swap(*arguments: object) -> None:
        if private.exists() and private.read_bytes() == b"data":
            private.rename(tmp_path / "taken")
            private.write_bytes(b"evil")
        renames.rename_to_new(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(destination, "rename_to_new", rename_after_a_swap)
    assert uploaded.release(target).files == 0
    assert not any(target.iterdir())
    assert path.read_bytes() == b"evil"
    assert "a: another file was put in its place" in uploaded.printed


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no second file system")
def test_files_are_copied_to_another_file_system(uploaded: UploadedDirectory) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as target:
        assert os.stat(target).st_dev != uploaded.path.stat().st_dev
        uploaded.add("run7/a", b"x" * 3_000_000).chmod(0o640)
        uploaded.release(Path(target))
        copy = Path(target, "run7", "a")
        assert copy.read_bytes() == b"x" * 3_000_000
        assert (copy.stat().st_mtime_ns, copy.stat().st_mode & 0o777) == (OLD_NS, 0o640)
        assert os.listdir(copy.parent) == ["a"]
    assert uploaded.names() == []
