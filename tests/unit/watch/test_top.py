"""When the watched directory is to be checked: on events, on changed mounts, and at intervals without either."""

from __future__ import annotations

import contextlib
import os
import select
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfud.watch.top import TopWatch
from tests.helpers.namespaces import run_in_namespace


def watch(directory: Path, named: Path | None = None, **options: Any) -> TopWatch:
    """Return a watch on a directory, which the user has `named` so."""
    logs = directory / "LOGS"
    return TopWatch(os.fsencode(directory), os.fsencode(named or directory), os.fsencode(logs), **options)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "above" / "top"
    (made / "LOGS").mkdir(parents=True)
    return made


def test_without_events_it_is_checked_every_5_seconds(directory: Path) -> None:
    now = 100.0
    with contextlib.closing(watch(directory, by_events=False, clock=lambda: now)) as top:
        assert (top.readable_fds, top.exceptional_fds, top.timeout(now)) == ([], [], 5.0)
        checks = []
        for later in (100.0, 104.9, 105.0, 109.9, 110.0):
            now = later
            checks.append(top.read_events(False))
    assert checks == [False, False, True, False, True]


def test_without_logs_there_would_be_no_event_of_its_end(tmp_path: Path) -> None:
    with contextlib.closing(watch(tmp_path)) as top:
        assert top.timeout(0.0) is not None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda top: top.rename(top.with_name("other")), id="renamed"),
        pytest.param(lambda top: top.parent.rename(top.parent.with_name("other")), id="parent renamed"),
    ],
)
def test_a_rename_is_a_reason_for_a_check(directory: Path, change: Callable[[Path], object]) -> None:
    with contextlib.closing(watch(directory)) as top:
        assert top.timeout(0.0) is None
        assert not top.read_events(False)
        change(directory)
        assert select.select(top.readable_fds, [], [], 10)[0]
        assert top.read_events(False)
        assert not top.read_events(False)


def test_after_the_removal_of_logs_a_check_is_due_soon(directory: Path) -> None:
    now = 100.0
    with contextlib.closing(watch(directory, clock=lambda: now)) as top:
        (directory / "LOGS").rmdir()
        assert not top.read_events(False)
        assert top.timeout(now) == pytest.approx(0.2)
        now = 100.3
        assert top.read_events(False)


def test_other_events_in_the_directory_are_no_reason(directory: Path) -> None:
    (directory / "file").write_bytes(b"x")
    with contextlib.closing(watch(directory)) as top:
        (directory / "file").unlink()
        assert not top.read_events(False)
        assert top.timeout(0.0) is None


@pytest.mark.parametrize("replaced", ["link", "hop", "place/above"])
def test_a_link_on_the_way_that_is_pointed_elsewhere_is_a_reason_for_a_check(
    directory: Path, tmp_path: Path, replaced: str
) -> None:
    """As of a path that leads by a link to a link; and by one in the middle of the path."""
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "above").symlink_to(directory.parent)
    (tmp_path / "hop").symlink_to("place/above/top")
    (tmp_path / "link").symlink_to(tmp_path / "hop")
    with contextlib.closing(watch(directory, named=tmp_path / "link")) as top:
        assert not top.read_events(False)
        (tmp_path / "new").symlink_to(tmp_path)
        assert not top.read_events(False)
        (tmp_path / "new").rename(tmp_path / replaced)  # as `ln -sfn` does
        assert top.read_events(False)


@pytest.mark.parametrize("name", ["table.csv", ".upload_to_t.lock"])
def test_a_removal_in_logs_is_told(directory: Path, name: str) -> None:
    (directory / "LOGS" / name).touch()
    with contextlib.closing(watch(directory)) as top:
        (directory / "LOGS" / "temporary.tmp").touch()
        (directory / "LOGS" / "temporary.tmp").rename(directory / "LOGS" / "other.csv")
        top.read_events(False)
        assert not top.pop_logs_disturbed()
        (directory / "LOGS" / name).unlink()
        top.read_events(False)
        assert top.pop_logs_disturbed()
        assert not top.pop_logs_disturbed()


def test_logs_that_were_made_again_are_watched_again(directory: Path) -> None:
    with contextlib.closing(watch(directory)) as top:
        (directory / "LOGS").rename(directory / "old")
        top.read_events(False)
        assert top.pop_logs_disturbed()
        (directory / "LOGS").mkdir()
        (directory / "LOGS" / "table.csv").touch()
        top.watch_logs()
        top.read_events(False)
        top.pop_logs_disturbed()
        (directory / "LOGS" / "table.csv").unlink()
        top.read_events(False)
        assert top.pop_logs_disturbed()


def test_a_change_of_mounts_is_a_reason_for_a_check(tmp_path: Path) -> None:
    """In a mount namespace of its own."""
    program = textwrap.dedent("""
        import os, select, subprocess, sys
        from dfud.watch.top import TopWatch
        os.makedirs(sys.argv[1] + "/LOGS")
        directory = os.fsencode(sys.argv[1])
        top = TopWatch(directory, directory, directory + b"/LOGS")
        changed = lambda: bool(select.select([], [], top.exceptional_fds, 0)[2])
        assert (top.timeout(0.0), changed()) == (None, False)
        subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
        assert top.read_events(changed())
        assert not top.read_events(changed())
        """)
    run_in_namespace(program, tmp_path / "top", mounts=True)
