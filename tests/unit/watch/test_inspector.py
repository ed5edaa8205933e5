"""Looks at real files, which other processes and users write to, lease, replace or remove."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from dfud.core.version import FileVersion
from dfud.files.openat import is_being_written
from dfud.files.scan import ScannedFile
from dfud.messages import FileFound
from dfud.watch import inspector
from dfud.watch.leases import WriteLeases
from dfud.watch.readiness import LEASED, STILL_WRITTEN, Readiness
from tests.helpers.descriptors import count_descriptors
from tests.helpers.leases import leased
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import NOBODY, open_folder
from tests.helpers.watching import WatchParts

WRITER = "descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)"
MAPPER = "file = open(path, 'r+b'); pages = mmap.mmap(file.fileno(), 0); file.close()"
WRITE_LEASE = "descriptor = os.open(path, os.O_RDWR); fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)"
READ_LEASE = "descriptor = os.open(path, os.O_RDONLY); fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)"


class Program:
    """A process that does something to a file, and ends when it is told to."""

    def __init__(self, statements: str, path: Path) -> None:
        lines = [
            "import fcntl, mmap, os, signal, sys",
            "broken = []",  # leases
            "signal.signal(signal.SIGIO, lambda *_: broken.append(1))",
            "path = sys.argv[1]",
            statements,
            "print(flush=True)",
            "sys.stdin.read()",
            "print(len(broken))",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", "\n".join(lines), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"\n"

    def end(self) -> int:
        """Let it end; return how many of its leases the kernel has wanted back."""
        out, _ = self._process.communicate()
        assert self._process.returncode == 0
        return int(out)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[WatchParts]:
    with contextlib.closing(WatchParts(tmp_path)) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"text")
    return path


def looked_at(parts: WatchParts, seconds: float) -> list[FileFound]:
    """Let time pass, with the looks that are due in it; return what is ready."""
    found, until = [], parts.now + seconds
    while (wait_s := parts.inspector.timeout(parts.now)) is not None and parts.now + wait_s <= until:
        parts.now += wait_s
        found += [file for file in parts.inspector.ready_files() if file]
    parts.now = until
    return found


def found(path: Path, compare: bool = True) -> FileFound:
    """Return the message about a file at the top as it is."""
    status = path.stat()
    version = FileVersion(os.fsencode(path.name), status.st_size, status.st_mtime_ns)
    return FileFound(version, compare, status.st_ctime_ns, status.st_ino)


def scanned(path: Path) -> ScannedFile:
    status = path.stat()
    version = FileVersion(os.fsencode(path.name), status.st_size, status.st_mtime_ns)
    return ScannedFile(version, status.st_ctime_ns, status.st_ino, status.st_dev)


# One look


def test_a_file_that_nobody_writes_to(parts: WatchParts, file: Path) -> None:
    assert parts.inspector.on_event(b"file") == found(file)
    assert parts.inspector.timeout(0) is None


def test_a_scanned_file_is_compared_if_the_scan_says_so(parts: WatchParts, file: Path) -> None:
    assert parts.inspector.on_scanned(scanned(file), compare=False) == found(file, compare=False)
    assert parts.inspector.on_scanned(scanned(file), compare=True) == found(file)


def test_a_file_is_reported_as_it_is_rather_than_as_the_scan_saw_it(parts: WatchParts, file: Path) -> None:
    before = scanned(file)
    file.write_bytes(b"longer text")
    assert parts.inspector.on_scanned(before, compare=False) == found(file, compare=False)


@pytest.mark.parametrize("statements", [WRITER, MAPPER], ids=["open", "mapped"])
@pytest.mark.parametrize("reports_close", [True, False])
def test_a_file_that_another_process_writes_to(
    parts: WatchParts, file: Path, statements: str, reports_close: bool
) -> None:
    with Program(statements, file) as writer:
        assert parts.inspector.on_event(b"file") is None
        assert looked_at(parts, 20) == []
        writer.end()
    if reports_close:
        assert parts.inspector.on_event(b"file") == found(file)
    else:
        assert looked_at(parts, 8) == [found(file)]


def test_a_file_that_is_written_to_by_another_name(parts: WatchParts, file: Path, tmp_path: Path) -> None:
    os.link(file, tmp_path / "linked")
    with Program(WRITER, tmp_path / "linked") as writer:
        assert parts.inspector.on_event(b"file") is None
        writer.end()
    assert looked_at(parts, 8) == [found(file)]


def test_a_file_that_another_process_reads(parts: WatchParts, file: Path) -> None:
    with Program("descriptor = os.open(path, os.O_RDONLY)", file):
        assert parts.inspector.on_event(b"file") == found(file)


def test_a_link_is_as_ready_as_what_it_leads_to(parts: WatchParts, file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    with Program(WRITER, file) as writer:
        assert parts.inspector.on_event(b"link") is None
        writer.end()
    (link,) = looked_at(parts, 8)
    assert (link.version.path, link.inode) == (b"link", file.stat().st_ino)


def remove(path: Path) -> None:
    path.unlink()


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("happens", [remove, replace_by_fifo, replace_by_folder])
def test_a_file_that_is_gone_is_forgotten(parts: WatchParts, file: Path, happens: Callable[[Path], None]) -> None:
    with Program(WRITER, file):
        assert parts.inspector.on_event(b"file") is None
        happens(file)
        assert looked_at(parts, 8) == []
        assert parts.inspector.timeout(parts.now) is None
        assert parts.inspector.on_event(b"file") is None


def test_a_look_keeps_nothing_open(parts: WatchParts, file: Path, tmp_path: Path) -> None:
    before = count_descriptors()
    parts.inspector.on_event(b"file")
    with Program(WRITER, tmp_path / "written"):
        parts.inspector.on_event(b"written")
    parts.inspector.on_event(b"missing")
    assert count_descriptors() == before


# What the kernel does not say


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[WatchParts]:
    """On a file system that others write to."""
    with contextlib.closing(WatchParts(tmp_path, is_local=False)) as made:
        yield made


def test_a_file_on_a_file_system_that_others_write_to(elsewhere: WatchParts, file: Path) -> None:
    os.utime(file, (1, 1))
    assert elsewhere.inspector.on_event(b"file") is None
    assert looked_at(elsewhere, 1.9) == []
    file.write_bytes(b"more")
    assert looked_at(elsewhere, 1.9) == []
    assert looked_at(elsewhere, 0.2) == [found(file)]


def test_a_writer_of_this_machine_on_a_file_system_that_others_write_to(elsewhere: WatchParts, file: Path) -> None:
    with Program(WRITER, file) as writer:
        assert elsewhere.inspector.on_event(b"file") is None
        assert looked_at(elsewhere, 20) == []
        writer.end()
    assert looked_at(elsewhere, 10) == [found(file)]


def test_a_replacement_of_the_same_size_and_time_is_another_file(
    elsewhere: WatchParts, file: Path, tmp_path: Path
) -> None:
    assert elsewhere.inspector.on_event(b"file") is None
    (tmp_path / "other").write_bytes(b"TEXT")
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    os.utime(tmp_path / "other", ns=times)
    looked_at(elsewhere, 1.5)
    (tmp_path / "other").replace(file)
    assert looked_at(elsewhere, 1.9) == []
    assert looked_at(elsewhere, 2) == [found(file)]


def as_nobody(check: Callable[[], None]) -> None:
    """Run a check in a process of a user without privileges; skip the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # other tests may have left threads, which do not matter
        child = os.fork()
    if not child:
        text = b"ended"
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            check()
            text = b""
        except BaseException as error:
            text = repr(error).encode()
        finally:
            os.write(writer, text)
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text.decode() == ""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of this user that everyone may enter, and a file in it that everyone may read."""
    try:
        with open_folder() as folder:
            (folder / "file").write_bytes(b"text")
            (folder / "file").chmod(0o644)
            yield folder
    except UnavailableError as error:
        pytest.skip(str(error))


def test_a_file_of_another_user_has_to_settle(shared: Path) -> None:
    def check() -> None:
        with contextlib.closing(WatchParts(shared)) as parts:
            assert parts.inspector.on_event(b"file") is None
            assert looked_at(parts, 1.9) == []
            assert looked_at(parts, 0.2) == [found(shared / "file")]

    as_nobody(check)


def test_a_file_of_another_user_that_has_been_at_rest_is_ready_at_once(shared: Path) -> None:
    changed_at = (shared / "file").stat().st_ctime_ns

    def check() -> None:
        with contextlib.closing(WatchParts(shared)) as parts:
            times = iter([changed_at + 1_900_000_000, changed_at + 2_000_000_000])
            parts.inspector._wall_ns = lambda: next(times)
            assert parts.inspector.on_event(b"file") is None
            assert parts.inspector.on_event(b"file") == found(shared / "file")

    as_nobody(check)


def test_a_clock_that_was_set_back_makes_no_file_ready(shared: Path) -> None:
    changed_at = (shared / "file").stat().st_ctime_ns

    def check() -> None:
        with contextlib.closing(WatchParts(shared)) as parts:
            parts.inspector._wall_ns = lambda: changed_at - 3_600_000_000_000
            assert parts.inspector.on_event(b"file") is None
            assert looked_at(parts, 2) == [found(shared / "file")]

    as_nobody(check)


def test_a_file_that_cannot_be_read_is_reported_so_that_its_reader_says_why(shared: Path) -> None:
    (shared / "file").chmod(0o600)

    def check() -> None:
        with contextlib.closing(WatchParts(shared)) as parts:
            assert parts.inspector.on_event(b"file") == found(shared / "file")

    as_nobody(check)


# Leases


def test_a_lease_of_another_program_is_waited_for(parts: WatchParts, file: Path) -> None:
    with Program(WRITE_LEASE, file) as holder:
        assert parts.inspector.on_event(b"file") is None
        assert looked_at(parts, 10) == []
        assert holder.end() == 1, "the kernel has asked for it once"
    assert looked_at(parts, 1) == [found(file)]


def test_a_lease_that_is_not_given_up_is_named_at_the_end(parts: WatchParts, file: Path) -> None:
    with Program(WRITE_LEASE, file):
        parts.inspector.start_end(takes_closed=False)
        assert parts.inspector.on_scanned(scanned(file), compare=False) is None
        assert looked_at(parts, 44) == []
        assert not parts.inspector.is_settled
        assert looked_at(parts, 2) == []
        assert parts.inspector.is_settled
        assert parts.inspector.pop_left() == [(b"file", LEASED)]


def test_a_file_that_is_open_at_the_end_is_named(parts: WatchParts, file: Path) -> None:
    with Program(WRITER, file):
        assert parts.inspector.on_event(b"file") is None
        parts.inspector.start_end(takes_closed=True)
        assert looked_at(parts, 0) == []
        assert parts.inspector.is_settled
        assert parts.inspector.pop_left() == [(b"file", STILL_WRITTEN)]


def test_a_lease_for_writing_is_left_to_a_program_that_has_not_closed_the_file(
    parts: WatchParts, file: Path
) -> None:
    """As to a file server, whose client would have to write back what it has cached."""
    with leased(file, 0) as holder:
        parts.inspector.on_created(b"file")
        parts.now += 1.0
        assert list(parts.inspector.ready_files()) == [None]
        assert parts.inspector.on_scanned(scanned(file), compare=True) is None
        with pytest.MonkeyPatch.context() as patch:
            patch.delattr(inspector, "open_regular_file")
            assert parts.inspector.on_event(b"file", is_closed=False) is None, "renamed while it is open"
        status = file.stat()
        assert WriteLeases().has(status.st_dev, status.st_ino)
        parts.inspector.start_end(takes_closed=True)
        parts.now += 1.0
        assert list(parts.inspector.ready_files()) == [None]
        assert holder.stdout is not None
        assert holder.stdout.readline() == "asked\n", "at the end it is waited for"
        assert not parts.inspector.is_settled


def test_a_lease_for_reading_of_another_program_is_left_to_it(parts: WatchParts, file: Path) -> None:
    with Program(READ_LEASE, file) as holder:
        assert parts.inspector.on_event(b"file") == found(file)
        assert holder.end() == 0, "nobody has asked for it"


@pytest.mark.parametrize("flags", ["os.O_WRONLY", "os.O_WRONLY | os.O_NONBLOCK", "os.O_RDWR | os.O_NONBLOCK"])
def test_a_look_leaves_no_lease_that_would_refuse_a_writer(parts: WatchParts, file: Path, flags: str) -> None:
    for _ in range(3):
        parts.inspector.on_scanned(scanned(file), compare=False)
        assert f"LEASE  ACTIVE    READ  {os.getpid()} " not in Path("/proc/locks").read_text(encoding="ascii")
        with Program(f"descriptor = os.open(path, {flags})", file) as writer:
            writer.end()


def test_a_writer_that_waits_is_never_refused(parts: WatchParts, file: Path) -> None:
    """It may be delayed, if it opens the file in the very microseconds in which the kernel is asked about it."""
    program = "for _ in range(30_000): os.close(os.open(path, os.O_WRONLY))"
    with Program(f"print(flush=True)\n{program}", file) as writer:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            parts.inspector.on_scanned(scanned(file), compare=False)
            parts.inspector.on_gone(b"file")
        writer._process.communicate()
        assert writer._process.returncode == 0


@pytest.mark.parametrize("interval_s", [0.001, 0.1])
def test_the_kernel_is_rarely_asked_about_a_file_that_is_closed_again_and_again(
    parts: WatchParts, file: Path, monkeypatch: pytest.MonkeyPatch, interval_s: float
) -> None:
    """Each time, a writer that will not wait might be refused."""
    asked = []

    def ask(descriptor: int, closed_next: bool = False) -> bool | None:
        asked.append(parts.now)
        return is_being_written(descriptor, closed_next)

    monkeypatch.setattr(inspector, "is_being_written", ask)
    for _ in range(round(10 / interval_s)):
        parts.inspector.on_event(b"file")
        looked_at(parts, interval_s)
    assert 2 <= len(asked) <= 12


def test_files_that_do_not_fit_are_for_a_scan_to_find(parts: WatchParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.watch.readiness.MAX_WAITING", 1)
    assert not parts.inspector.is_full
    parts.inspector.on_created(b"one")
    assert parts.inspector.is_full
    assert not parts.inspector.pop_overflow()
    parts.inspector.on_created(b"two")
    assert parts.inspector.pop_overflow()
    assert not parts.inspector.pop_overflow()


def test_a_file_that_waits_is_not_looked_at_for_a_scan(parts: WatchParts, file: Path) -> None:
    parts.inspector.on_created(b"file")
    assert parts.inspector.on_scanned(scanned(file), compare=False) is None
    assert looked_at(parts, 1) == [found(file)]


def test_a_lag_holds_for_a_scan_as_well(tmp_path: Path, file: Path) -> None:
    with contextlib.closing(WatchParts(tmp_path, lag_s=30)) as parts:
        assert parts.inspector.on_scanned(scanned(file), compare=False) is None
        assert looked_at(parts, 29) == []
        assert looked_at(parts, 2) == [found(file, compare=False)]
    assert isinstance(parts.inspector._readiness, Readiness)


# Files about which the one who reads them asks


@pytest.fixture
def leaving(tmp_path: Path) -> Iterator[WatchParts]:
    with contextlib.closing(WatchParts(tmp_path, asks_all=False)) as made:
        yield made


def test_of_scanned_files_the_first_is_asked_about_and_then_one_of_a_thousand(
    leaving: WatchParts, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "_MAX_UNASKED", 2)
    reports = [leaving.inspector.on_scanned(scanned(file), compare=True) for _ in range(5)]
    assert reports == [
        msgspec.structs.replace(found(file), is_asked=is_asked) for is_asked in (True, False, False, True, False)
    ]


def test_files_of_which_the_kernel_does_not_tell_are_asked_about(
    leaving: WatchParts, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "is_being_written", lambda descriptor, closed_next: None)
    assert leaving.inspector.on_scanned(scanned(file), compare=False) is None
    (file.parent / "other").write_bytes(b"text")
    assert leaving.inspector.on_scanned(scanned(file.parent / "other"), compare=False) is None
    assert {each.version.path for each in looked_at(leaving, 5)} == {b"file", b"other"}


def test_files_of_which_more_is_known_are_asked_about(leaving: WatchParts, file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"text")
    assert leaving.inspector.on_event(b"other") == found(tmp_path / "other")
    assert leaving.inspector.on_event(b"file") == found(file)
    assert leaving.inspector.on_event(b"file") is None  # it is closed again and again
    leaving.inspector.on_gone(b"file")
    assert leaving.inspector.on_scanned(scanned(file), compare=True) is None
    with contextlib.closing(WatchParts(tmp_path, lag_s=5.0, asks_all=False)) as patient:
        for name in ("file", "other"):
            assert patient.inspector.on_scanned(scanned(tmp_path / name), compare=False) is None
    with contextlib.closing(WatchParts(tmp_path, is_local=False, asks_all=False)) as remote:
        for name in ("file", "other"):
            assert remote.inspector.on_scanned(scanned(tmp_path / name), compare=False) is None


def test_a_file_that_is_leased_is_not_left_to_the_reader(leaving: WatchParts, file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"text")
    leaving.inspector.on_scanned(scanned(tmp_path / "other"), compare=False)
    leaving.now += 1.0
    with Program(WRITE_LEASE, file) as holder:
        assert leaving.inspector.on_scanned(scanned(file), compare=False) is None
        assert holder.end() == 0


def test_a_file_that_was_in_use_is_reported_when_that_has_ended(leaving: WatchParts, file: Path) -> None:
    with Program(WRITER, file) as writer:
        leaving.inspector.reconsider(b"file")
        assert looked_at(leaving, 20) == []
        writer.end()
    assert looked_at(leaving, 8) == [found(file)]
    leaving.inspector.reconsider(b"file")
    assert looked_at(leaving, 0) == [found(file)]  # it was closed meanwhile


def test_a_file_that_is_in_use_at_the_end_is_left(leaving: WatchParts, file: Path) -> None:
    leaving.inspector.start_end(takes_closed=False)
    with Program(WRITER, file) as writer:
        leaving.inspector.reconsider(b"file")
        assert not leaving.inspector.is_settled
        assert looked_at(leaving, 0) == []
        assert leaving.inspector.is_settled
        assert leaving.inspector.pop_left() == [(b"file", STILL_WRITTEN)]
        writer.end()
