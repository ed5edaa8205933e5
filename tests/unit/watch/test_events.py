"""The kernel's events for real folders, processed without any other process of dfud."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.files import scan
from dfud.files.openat import is_being_written, look, look_at, open_regular_file
from dfud.watch import events
from dfud.watch.events import EventSource
from tests.helpers.namespaces import run_in_namespace
from tests.helpers.watching import WatchParts

QUEUE_LENGTH = Path("/proc/sys/fs/inotify/max_queued_events")


class Watched(WatchParts):
    """A directory, its source of events, and the notices of that source."""

    def __init__(self, top: Path, take_all: bool, since_ns: int, moved_in: Iterable[bytes]) -> None:
        super().__init__(top, since_ns, moved_in)
        self.source = EventSource(self.tree, self.inspector, self.before, take_all, 0, self.clock)
        self.notices: list[str] = []

    def found(self) -> list[str]:
        """Process everything that there is; return the paths of the files that are ready."""
        paths = self.ready_paths(self.source)
        self.notices += [text for _, text in self.source.pop_notices()]
        return paths

    def found_later(self) -> list[str]:
        """Return what is ready once the files that wait are due for a look."""
        self.now += self.inspector.timeout(self.now) or 0.0
        return self.found()

    def next_look(self) -> float | None:
        """Return in how many seconds something is to be done without an event; None for never."""
        times = (self.source.timeout(self.now), self.inspector.timeout(self.now))
        return min((time for time in times if time is not None), default=None)

    def start_sweep(self) -> None:
        """Begin to look for everything that is there now."""
        self.inspector.start_end(takes_closed=True, expected=self.source.start_sweep())

    def close(self) -> None:
        self.source.close()
        super().close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """A factory of watched directories; the files in them are old, unless `since_ns` says otherwise."""
    with contextlib.ExitStack() as stack:

        def make(
            take_all: bool = False,
            since_ns: int | None = None,
            top: Path = tmp_path / "top",
            moved_in: Iterable[bytes] = (),
        ) -> Watched:
            top.mkdir(exist_ok=True)
            if since_ns is None:
                since_ns = clock_of(tmp_path) + 1
            made = stack.enter_context(contextlib.closing(Watched(top, take_all, since_ns, moved_in)))
            return made

        yield make


def clock_of(folder: Path) -> int:
    """Return the file system's time, once it has advanced (ns)."""
    probe = folder / "clock"
    probe.touch()
    began = probe.stat().st_ctime_ns
    while True:
        probe.chmod(0o600)
        now = probe.stat().st_ctime_ns
        if now > began + 1:
            return now
        time.sleep(0.001)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "top"
    folder.mkdir()
    return folder


# Files


def test_a_file_is_ready_when_it_is_closed(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    assert watched.found() == []
    with open(top / "file", "wb") as file:
        file.write(b"one")
        file.flush()
        assert watched.found() == []
        file.write(b"two")
    assert watched.found() == ["file"]
    assert watched.found() == []
    with open(top / "file", "rb"):
        pass
    assert watched.found() == []
    os.utime(top / "file", (1, 1))
    assert watched.found() == []
    assert watched.next_look() is None, "the closed file would be checked again"


def test_what_an_event_reports_has_the_version_and_is_marked(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    (top / "file").write_bytes(b"12345")
    watched.source.process_events()
    (file,) = filter(None, watched.source.ready_files())

    assert file.compare
    assert file.version == (b"file", 5, (top / "file").stat().st_mtime_ns)


def test_a_file_that_is_moved_in_is_ready_at_once(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    watched = watch()
    watched.found()
    (tmp_path / "other").write_bytes(b"old")
    (tmp_path / "other").rename(top / "in")
    assert watched.found() == ["in"]
    (top / "in").rename(top / "within")
    assert watched.found() == ["within"]
    (top / "within").rename(tmp_path / "out")
    assert watched.found() == []
    (tmp_path / "out").rename(top / "within")
    assert watched.found() == []
    assert watched.found_later() == ["within"]


def test_hidden_files_and_logs_are_ignored(watch: Callable[..., Watched], top: Path) -> None:
    (top / "sub" / "LOGS").mkdir(parents=True)
    (top / "LOGS").mkdir()
    watched = watch(take_all=True)
    for name in ["file", ".hidden", "run.log", "run.log.txt", "LOGS/table.csv", "sub/LOGS/data", ".folder/data"]:
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(b"x")
    expected = {"file", "run.log.txt", "sub/LOGS/data"}
    assert set(watched.found()) == expected
    for name in [*sorted(expected), "LOGS/table.csv", "run.log", ".hidden", ".folder/data"]:
        (top / name).write_bytes(b"y")
    assert {*watched.found(), *watched.found_later()} == expected


def test_names_are_bytes(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    names = {b"\xff\xfe", b"new\nline", b"\"quoted\"; and 'so' on", b" ", "größe".encode(), b"x" * 255}
    for name in names:
        with open(os.path.join(os.fsencode(top), name), "wb"):
            pass
    assert {os.fsencode(path) for path in watched.found()} == names


def test_links_to_files_count_as_files(watch: Callable[..., Watched], tmp_path: Path, top: Path) -> None:
    (tmp_path / "outside").write_bytes(b"content")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_bytes(b"")
    watched = watch()
    watched.found()
    os.link(tmp_path / "outside", top / "hard")
    (top / "link").symlink_to("hard")
    (top / "leaves").symlink_to(tmp_path / "outside")
    (top / "dangling").symlink_to(tmp_path / "nothing")
    (top / "loop").symlink_to(top / "loop")
    (top / "to-folder").symlink_to(tmp_path / "folder")
    (top / "upwards").symlink_to(top)
    assert sorted(watched.found()) == ["hard", "link"]


def test_only_files_are_ever_opened(
    watch: Callable[..., Watched], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr("dfud.watch.inspector.open_regular_file", lambda path, *_: opened.append(path))
    (top / "old-fifo").mkdir()
    os.mkfifo(top / "old-fifo" / "fifo")
    watched = watch(take_all=True)
    assert watched.found() == []
    os.mkfifo(top / "fifo")
    (top / "to-fifo").symlink_to(top / "fifo")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(os.path.relpath(top / "socket"))
    with contextlib.suppress(PermissionError):
        os.mknod(top / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (top / "fifo").rename(top / "fifo2")
    watched.start_sweep()
    assert watched.found() == []
    watched.now += 2.0
    assert watched.found() == []
    assert opened == []


def test_a_file_that_was_written_without_a_name(watch: Callable[..., Watched], top: Path) -> None:
    """With O_TMPFILE it has no name when it is opened, so its close is not reported under any."""
    watched = watch()
    watched.found()
    descriptor = os.open(top, os.O_TMPFILE | os.O_WRONLY)
    os.write(descriptor, b"content")
    os.link(f"/proc/self/fd/{descriptor}", top / "published", src_dir_fd=descriptor, follow_symlinks=True)
    assert watched.found() == []
    watched.now += 1.5
    assert watched.found() == []  # it may still be written to
    os.close(descriptor)
    assert watched.found_later() == ["published"]
    assert watched.next_look() is None


def test_created_files_are_checked_in_their_order(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    os.mknod(top / "first", stat.S_IFREG | 0o600)
    watched.source.process_events()
    watched.now += 0.6
    os.mknod(top / "second", stat.S_IFREG | 0o600)
    watched.source.process_events()
    assert watched.next_look() == pytest.approx(0.4)
    watched.now += 0.4
    assert watched.found() == ["first"]
    watched.now += 0.6
    assert watched.found() == ["second"]


def test_a_sweep_does_not_wait_for_the_next_check(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    os.mknod(top / "made", stat.S_IFREG | 0o600)
    with open(top / "written", "wb"):
        watched.start_sweep()
        assert watched.found() == ["made"]
    assert watched.found() == ["written"]


def test_a_scan_leaves_a_file_that_is_being_written_to_the_event_of_its_close(
    watch: Callable[..., Watched], top: Path
) -> None:
    with open(top / "slow", "wb") as file:
        watched = watch(take_all=True)
        (top / "whole").write_bytes(b"x")
        assert set(watched.found()) == {"whole"}
        file.write(b"the rest")
    assert watched.found() == ["slow"]


# Folders


def test_old_files_are_ready_only_if_all_are_wanted(watch: Callable[..., Watched], top: Path) -> None:
    (top / "folder").mkdir()
    (top / "folder" / "old").write_bytes(b"x")
    assert watch().found() == []
    assert watch(take_all=True).found() == ["folder/old"]


def test_files_that_were_made_before_the_first_scan_are_found(watch: Callable[..., Watched], top: Path) -> None:
    (top / "old").write_bytes(b"x")
    watched = watch()
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "new").write_bytes(b"x")
    assert set(watched.found()) == {"a/b/new"}
    assert watched.notices == ["watching 3 folders"]


def test_a_folder_that_is_moved_in_brings_all_of_its_files(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    (tmp_path / "stage" / "sub").mkdir(parents=True)
    (tmp_path / "stage" / "sub" / "old").write_bytes(b"x")
    watched = watch()
    watched.found()
    (tmp_path / "stage").rename(top / "in")
    assert watched.found() == ["in/sub/old"]
    (top / "in" / "sub" / "more").write_bytes(b"x")
    assert watched.found() == ["in/sub/more"]


def test_a_folder_that_is_moved_in_and_changed_before_the_first_scan(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    (tmp_path / "stage" / "sub").mkdir(parents=True)
    (tmp_path / "stage" / "sub" / "old").write_bytes(b"x")
    (top / "stayed").mkdir()
    (top / "stayed" / "old").write_bytes(b"x")
    watched = watch()
    (tmp_path / "stage").rename(top / "in")
    for folder in ("in", "stayed"):
        (top / folder / "new").write_bytes(b"x")
    assert set(watched.found()) == {"in/sub/old", "in/new", "stayed/new"}
    assert watched.tree.pop_newly_moved_in() == [b"in"]
    assert watched.tree.pop_newly_moved_in() == []


def test_a_scan_for_all_files_of_a_folder_is_not_reduced(watch: Callable[..., Watched], top: Path) -> None:
    """As when a folder that was moved in has the path of one that could not be read."""
    (top / "in").mkdir()
    (top / "in" / "old").write_bytes(b"x")
    watched = watch()
    assert watched.found() == []
    watched.source._schedule_scan(b"in", take_all=True)
    watched.source._schedule_scan(b"in", take_all=False)
    assert watched.found() == ["in/old"]


def test_a_folder_that_an_earlier_watcher_reported_as_moved_in(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    for folder in ("moved", "stayed"):
        (top / folder / "sub").mkdir(parents=True)
        (top / folder / "sub" / "old").write_bytes(b"x")
    since_ns = clock_of(tmp_path)
    for folder in ("moved", "stayed"):
        (top / folder / "new").write_bytes(b"x")
    assert set(watch(since_ns=since_ns).found()) == {"moved/new", "stayed/new"}
    assert set(watch(since_ns=since_ns, moved_in=[b"moved"]).found()) == {
        "moved/sub/old",
        "moved/new",
        "stayed/new",
    }


def test_files_in_new_folders_are_found_many_times(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    found = []
    for number in range(300):
        folder = top / f"run{number}" / "b" / "c"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x")
        if number % 7 == 0:
            watched.source.process_events()
        if number % 50 == 0:
            found += watched.found()
    found += watched.found()
    assert sorted(set(found)) == sorted(f"run{number}/b/c/file" for number in range(300))


def test_a_folder_made_between_watching_and_reading_its_parent(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watch_folder = watched.source._watch_folder

    def watch_and_interfere(folder: object, dir_fd: int) -> bool:
        is_new = watch_folder(folder, dir_fd)  # type: ignore[arg-type]
        if folder[0] == b"a":  # type: ignore[index]
            (top / "a" / "b").mkdir()
            (top / "a" / "b" / "file").write_bytes(b"x")
        return is_new

    watched.source._watch_folder = watch_and_interfere  # type: ignore[method-assign]
    (top / "a").mkdir()
    assert set(watched.found()) == {"a/b/file"}


def test_a_folder_is_renamed_while_it_is_watched(watch: Callable[..., Watched], top: Path) -> None:
    (top / "a" / "sub").mkdir(parents=True)
    (top / "ab").mkdir()
    watched = watch()
    watched.found()
    with open(top / "a" / "sub" / "slow", "wb") as file:
        (top / "a").rename(top / "b")
        assert watched.found() == []
        file.write(b"x")
    assert watched.found() == ["b/sub/slow"]
    (top / "ab" / "file").write_bytes(b"x")
    assert watched.found() == ["ab/file"]
    (top / "a").mkdir()
    (top / "a" / "file").write_bytes(b"x")
    assert watched.found() == ["a/file"]


def test_a_folder_is_moved_out_changed_and_moved_back(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    (top / "a" / "sub").mkdir(parents=True)
    watched = watch()
    watched.found()
    (top / "a").rename(tmp_path / "out")
    watched.found()
    (tmp_path / "out" / "sub" / "new").write_bytes(b"x")
    assert watched.found() == []
    (tmp_path / "out").rename(top / "a")
    assert watched.found() == ["a/sub/new"]
    (top / "a" / "sub" / "more").write_bytes(b"x")
    assert watched.found() == ["a/sub/more"]


def test_a_folder_takes_the_place_of_one_that_is_still_in_use(watch: Callable[..., Watched], top: Path) -> None:
    (top / "a").mkdir()
    watched = watch()
    watched.found()
    user = os.open(top / "a", os.O_RDONLY)  # as by a shell in it: its watch remains
    try:
        (top / "a").rmdir()
        (top / "a").mkdir()
        assert watched.found() == []
        (top / "a" / "file").write_bytes(b"x")
        assert watched.found() == ["a/file"]
    finally:
        os.close(user)
    watched.found()
    (top / "a" / "file2").write_bytes(b"x")
    assert watched.found() == ["a/file2"]


def test_a_folder_that_is_too_deep_for_one_path(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    name = "d" * 250
    here = os.open(top, os.O_RDONLY)
    for _ in range(20):  # 5 kB of path; PATH_MAX is 4 KiB
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    deep = "/".join([name] * 20)
    try:
        os.close(os.open("scanned", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        assert watched.found() == [f"{deep}/scanned"]
        os.close(os.open("watched", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        assert watched.found() == [f"{deep}/watched"]
        descriptor, _ = open_regular_file(os.fsencode(f"{deep}/watched"), watched.tree.dir_fd)
        assert is_being_written(descriptor, closed_next=True) is False
        os.close(descriptor)
    finally:
        os.close(here)
        subprocess.run(["rm", "-rf", name], cwd=top, check=True)


def test_a_folder_of_500_levels(watch: Callable[..., Watched], top: Path) -> None:
    watched = watch()
    watched.found()
    folder = top.joinpath(*["d"] * 500)
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x")
    assert watched.found() == ["d/" * 500 + "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_reported_and_tried_again(
    watch: Callable[..., Watched], top: Path
) -> None:
    (top / "locked").mkdir()
    (top / "locked" / "file").write_bytes(b"x")
    (top / "locked").chmod(0)
    check_unreadable_folder(watch(take_all=True), lambda: (top / "locked").chmod(0o700))


def test_a_folder_whose_listing_fails_is_reported_and_tried_again(
    watch: Callable[..., Watched], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "locked").mkdir()
    (top / "locked" / "file").write_bytes(b"x")
    locked = (top / "locked").stat().st_ino
    real = os.scandir

    def failing(descriptor: int) -> object:  # injected: a bad disk
        if os.fstat(descriptor).st_ino == locked:
            raise OSError(5, "Input/output error")
        return real(descriptor)

    monkeypatch.setattr(os, "scandir", failing)
    check_unreadable_folder(watch(take_all=True), monkeypatch.undo)


def test_a_folder_with_a_file_without_status_is_reported_and_tried_again(
    watch: Callable[..., Watched], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "locked").mkdir()
    (top / "locked" / "file").write_bytes(b"x")
    (top / "locked" / "link").symlink_to("file")  # to an inaccessible place, for all that is known

    def failing(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:  # injected: a bad disk
        def fail(*arguments: Any) -> os.stat_result:
            if any(isinstance(each, bytes) and each.endswith((b"file", b"link")) for each in arguments):
                raise OSError(5, "Input/output error")
            return real(*arguments)

        return fail

    monkeypatch.setattr(scan, "look", failing(look))
    monkeypatch.setattr(scan, "look_at", failing(look_at))
    (top / "whole").write_bytes(b"x")
    watched = watch(take_all=True)
    assert watched.found() == ["whole"]
    assert [text for text in watched.notices if "locked/file" in text]
    (top / "locked" / "link").unlink()
    check_unreadable_folder(watched, monkeypatch.undo)


def check_unreadable_folder(watched: Watched, repair: Callable[[], object]) -> None:
    for _ in range(3):
        assert watched.found() == []
        watched.now += 11.0
    assert len([text for text in watched.notices if "cannot read folder locked" in text]) == 1
    repair()
    assert watched.source.timeout(watched.now) is not None
    watched.now += 11.0
    assert watched.found() == ["locked/file"]
    assert watched.source.timeout(watched.now) is None


def test_the_directory_itself_is_moved_and_removed(
    watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    watched = watch()
    watched.found()
    top.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "a").mkdir()
    (tmp_path / "elsewhere" / "a" / "file").write_bytes(b"x")
    assert watched.found() == ["a/file"]
    subprocess.run(["rm", "-r", tmp_path / "elsewhere"], check=True)
    assert watched.found() == []
    watched.tree.check_top()
    assert watched.tree.is_gone
    assert len(watched.notices) == 1


# More than the kernel or the source can hold


@pytest.fixture
def short_queue() -> Iterator[int]:
    """A queue of few events for every inotify instance that is made now; its length."""
    usual = QUEUE_LENGTH.read_text()
    try:
        QUEUE_LENGTH.write_text("64")
    except OSError:
        pytest.skip(f"cannot set {QUEUE_LENGTH} here")
    try:
        yield 64
    finally:
        QUEUE_LENGTH.write_text(usual)


def test_an_overflow_of_the_queue_loses_nothing(
    short_queue: int, watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    (top / "known").mkdir()
    (top / "known" / "old").write_bytes(b"x")
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "old").write_bytes(b"x")
    watched = watch()
    watched.found()
    expected = {"in/old", "in/new"}
    for number in range(3 * short_queue):
        (top / "known" / f"{number}").write_bytes(b"x")
        expected.add(f"known/{number}")
    (tmp_path / "stage" / "new").write_bytes(b"x")  # so that its folder's times do not reveal the move
    (tmp_path / "stage").rename(top / "in")
    assert set(watched.found()) == expected
    assert [text for text in watched.notices if "inotify queue overflowed" in text] == [watched.notices[-1]]
    assert watched.source.pop_counts() == (1, 1)
    (top / "in" / "more").write_bytes(b"x")
    assert watched.found() == ["in/more"]


def test_an_overflow_does_not_lose_the_folders_that_wait_for_their_scan(
    short_queue: int, watch: Callable[..., Watched], tmp_path: Path, top: Path
) -> None:
    (tmp_path / "stage").mkdir()
    for number in range(10):
        (tmp_path / "stage" / f"old{number}").write_bytes(b"x")
    watched = watch()
    watched.found()
    (tmp_path / "stage" / "new").write_bytes(b"x")
    (tmp_path / "stage").rename(top / "in")
    watched.source.process_events()
    few = []
    for file in watched.source.ready_files():  # as many as the allowance permits
        few += [os.fsdecode(file.version.path)] if file else []
        if len(few) == 3:
            break
    for number in range(3 * short_queue):
        (top / f"{number}").write_bytes(b"x")
    found = {*few, *watched.found()}
    assert found >= {f"in/old{number}" for number in range(10)} | {"in/new"}
    assert len(found) == 11 + 3 * short_queue


def test_files_that_arrive_faster_than_they_are_sent(
    watch: Callable[..., Watched], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_MAX_WAITING", 10)
    watched = watch()
    watched.found()
    names = {f"file{number}" for number in range(100)}
    for name in names:
        (top / name).write_bytes(b"x")
    for number in range(100):
        (top / f"folder{number}").mkdir()
        (top / f"folder{number}" / "file").write_bytes(b"x")
    found = {*watched.found(), *watched.found_later()}
    assert found == names | {f"folder{number}/file" for number in range(100)}
    assert len(watched.notices) == 2


def test_an_overflow_during_a_rescan_causes_another(
    watch: Callable[..., Watched], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_MAX_WAITING", 5)
    watched = watch()
    watched.found()
    found = []
    for batch in range(6):
        for number in range(20):
            (top / f"{batch}-{number}").write_bytes(b"x")
        watched.source.process_events()
        for file, _ in zip(watched.source.ready_files(), range(7)):
            found += [os.fsdecode(file.version.path)] if file else []
    found += watched.found() + watched.found_later()
    assert set(found) == {f"{batch}-{number}" for batch in range(6) for number in range(20)}


def test_inotify_limits_lead_to_polling(tmp_path: Path, top: Path) -> None:
    """In a user namespace of its own, which has limits of its own."""
    for number in range(10):
        (top / f"folder{number}").mkdir()
        (top / f"folder{number}" / "file").write_bytes(b"x")
    program = textwrap.dedent("""
        import pathlib, sys
        from dfud.messages import Allowance, FileFound, Notice
        from dfud.processes import links
        from dfud.processes.channel import Channel
        from dfud.watch.watcher import Watcher
        from tests.helpers.watching import watch_options
        limit, directory = sys.argv[1:]
        name, value = limit.split("=")
        with open(f"/proc/sys/user/{name}", "w") as file:
            file.write(value)
        ours, theirs = Channel.pair(links.WATCHER)
        watcher = Watcher(theirs, watch_options(pathlib.Path(directory)))
        ours.post([Allowance(1000)])
        found = set()
        while len(found) < 10 or type(watcher._sources[0]).__name__ != "PollingSource":
            assert watcher.run_once()
            while batch := ours.receive(wait=False):
                found |= {message.version.path for message in batch if isinstance(message, FileFound)}
                print(*(message.text for message in batch if isinstance(message, Notice)), sep="\\n")
        print(len(found), "files")
        """)
    for limit, setting in (("max_inotify_watches=4", "watches"), ("max_inotify_instances=0", "instances")):
        printed = run_in_namespace(program, limit, top)
        assert f"raise the sysctl fs.inotify.max_user_{setting}; polling until" in printed
        assert printed.endswith("10 files\n")
