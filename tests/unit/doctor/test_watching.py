"""What the doctor says of inotify and of file systems."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.doctor.diagnosis import Level
from dfud.doctor.inotify_use import InotifyLimits, InotifyUse, Limit, inotify_limits, instances_of
from dfud.doctor.watching import check_file_systems, check_inotify, judge
from dfud.watch.folder_watches import FolderWatches
from tests.helpers.doctoring import options_for
from tests.helpers.namespaces import run_in_namespace


@contextlib.contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Watch some folders."""
    with contextlib.closing(FolderWatches()) as watches:
        for folder in folders:
            dir_fd = os.open(folder, os.O_RDONLY)
            watches.add(os.fsencode(folder.name), dir_fd, os.fsencode(folder))
            os.close(dir_fd)
        yield


def test_the_watches_of_a_process_are_counted(tmp_path: Path) -> None:
    process = str(os.getpid())
    before = list(instances_of(process))
    with watched(tmp_path, tmp_path.parent), watched():
        assert sorted(n for _, n in instances_of(process)) == sorted([*(n for _, n in before), 0, 2])


def test_the_limits_of_this_kernel_are_known() -> None:
    assert all(limit is not None and limit.number > 0 for limit in inotify_limits())


def test_a_limit_that_is_too_low_is_named_with_what_to_set(tmp_path: Path) -> None:
    """In a user namespace of its own, which has limits of its own."""
    program = textwrap.dedent("""
        import sys
        from dfud.doctor.watching import check_inotify
        from tests.helpers.doctoring import options_for
        with open("/proc/sys/user/max_inotify_watches", "w") as file:
            file.write("40")
        for n_folders in (5, 100):
            for diagnosis in check_inotify(options_for(sys.argv[1]), n_folders, False):
                print(diagnosis.level.name, diagnosis.text)
        """)
    printed = run_in_namespace(program, tmp_path).splitlines()
    assert printed[0].startswith("FINE ") or "of user.max_inotify_watches = 40 in use" in printed[0]
    assert printed[-1].startswith("WARNING 1")
    assert "of user.max_inotify_watches = 40 in use by this user: the upload would poll instead" in printed[-1]
    assert "; sysctl -w user.max_inotify_watches=" in printed[-1]


def test_what_the_limits_mean() -> None:
    limits = InotifyLimits(Limit("instances", 128), Limit("watches", 8192), Limit("queue", 16384))
    used, need = InotifyUse(100, 8000), InotifyUse(2, 192)
    assert [each.level for each in judge(limits, used, need)] == [Level.FINE]
    (low,) = judge(limits, used, InotifyUse(2, 193))
    assert low.text == (
        "193 watches needed, 8,000 of watches = 8192 in use by this user: the upload would poll instead; "
        "sysctl -w watches=9831, and put that into /etc/sysctl.d"
    )
    assert [each.level for each in judge(limits, InotifyUse(127, 0), need)] == [Level.WARNING]
    assert [each.level for each in judge(limits, InotifyUse(128, 8193), InotifyUse(0, 0))] == [Level.FINE]
    small = limits._replace(queue=Limit("queue", 1000))
    assert [each.level for each in judge(small, used, need)] == [Level.WARNING, Level.FINE]
    assert [each.level for each in judge(InotifyLimits(None, None, None), used, need)] == [Level.FINE]


@pytest.mark.parametrize("option", ["once", "use_polling_observer"])
def test_polling_needs_no_watches(tmp_path: Path, option: str) -> None:
    options = options_for(tmp_path)._replace(**{option: True})  # type: ignore[arg-type]
    (found,) = check_inotify(options, 10**9, False)
    assert (found.level, found.text) == (Level.FINE, f"not needed with --{option}")


def test_file_systems_are_named(tmp_path: Path) -> None:
    (found,) = check_file_systems(options_for(tmp_path))
    assert found.level is Level.FINE
    assert found.text.startswith(f"{tmp_path} is on ")
    below = [each.text for each in check_file_systems(options_for("/"))]
    assert any(text.startswith("/proc is on proc: not all changes are reported: polling, too") for text in below)
