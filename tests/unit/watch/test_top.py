"""When the watched directory is to be checked: on events, on changed mounts, and at intervals without either."""

from __future__ import annotations

import contextlib
import os
import select
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.watch.top import TopWatch
from tests.helpers.namespaces import run_in_namespace


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "above" / "top"
    (made / "LOGS").mkdir(parents=True)
    return made


def test_without_events_it_is_checked_every_5_seconds(directory: Path) -> None:
    now = 100.0
    with contextlib.closing(TopWatch(os.fsencode(directory), by_events=False, clock=lambda: now)) as top:
        assert (top.readable_fds, top.exceptional_fds, top.timeout(now)) == ([], [], 5.0)
        checks = []
        for later in (100.0, 104.9, 105.0, 109.9, 110.0):
            now = later
            checks.append(top.read_events(False))
    assert checks == [False, False, True, False, True]


def test_without_logs_there_would_be_no_event_of_its_end(tmp_path: Path) -> None:
    with contextlib.closing(TopWatch(os.fsencode(tmp_path))) as top:
        assert top.timeout(0.0) is not None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda top: top.rename(top.with_name("other")), id="renamed"),
        pytest.param(lambda top: top.parent.rename(top.parent.with_name("other")), id="parent renamed"),
    ],
)
def test_a_rename_is_a_reason_for_a_check(directory: Path, change: Callable[[Path], object]) -> None:
    with contextlib.closing(TopWatch(os.fsencode(directory))) as top:
        assert top.timeout(0.0) is None
        assert not top.read_events(False)
        change(directory)
        assert select.select(top.readable_fds, [], [], 10)[0]
        assert top.read_events(False)
        assert not top.read_events(False)


def test_after_the_removal_of_logs_a_check_is_due_soon(directory: Path) -> None:
    now = 100.0
    with contextlib.closing(TopWatch(os.fsencode(directory), clock=lambda: now)) as top:
        (directory / "LOGS").rmdir()
        assert not top.read_events(False)
        assert top.timeout(now) == pytest.approx(0.2)
        now = 100.3
        assert top.read_events(False)


def test_other_events_in_the_directory_are_no_reason(directory: Path) -> None:
    (directory / "file").write_bytes(b"x")
    with contextlib.closing(TopWatch(os.fsencode(directory))) as top:
        (directory / "file").unlink()
        assert not top.read_events(False)
        assert top.timeout(0.0) is None


def test_a_change_of_mounts_is_a_reason_for_a_check(tmp_path: Path) -> None:
    """In a mount namespace of its own."""
    program = textwrap.dedent("""
        import os, select, subprocess, sys
        from dfud.watch.top import TopWatch
        os.makedirs(sys.argv[1] + "/LOGS")
        top = TopWatch(os.fsencode(sys.argv[1]))
        changed = lambda: bool(select.select([], [], top.exceptional_fds, 0)[2])
        assert (top.timeout(0.0), changed()) == (None, False)
        subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
        assert top.read_events(changed())
        assert not top.read_events(changed())
        """)
    run_in_namespace(program, tmp_path / "top", mounts=True)
