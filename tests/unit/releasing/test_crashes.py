"""A release that ends at any instant neither forgets a file, nor removes one twice, nor one that has changed."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfud.files import renames
from dfud.releasing import destination, released_table, removal, source_file
from tests.helpers.releasing import UploadedDirectory

CLOCK_REALTIME_COARSE = 5  # of <linux/time.h>
NAMES = ["a", os.fsdecode(b'run7/b, "\xff"\r\nd')]


class CrashError(BaseException):
    """The process ends here: nothing that follows is done."""


class Crashing:
    """Stands in for `os`: ends the program before or after its n-th change of a file, or within it."""

    def __init__(self, at: int, has_other_target: bool) -> None:
        """`has_other_target`: files are moved to another file system."""
        self._has_other_target = has_other_target
        self._left = at
        self.has_crashed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _step(self) -> None:
        if self.has_crashed:
            raise CrashError
        self._left -= 1
        if self._left < 0:
            self.has_crashed = True
            raise CrashError

    def _around(self, act: Callable[[], Any]) -> Any:
        self._step()
        result = act()
        self._step()
        return result

    def unlink(self, *args: Any, **kwargs: Any) -> Any:
        return self._around(lambda: os.unlink(*args, **kwargs))

    def pwrite(self, *args: Any) -> Any:
        return self._around(lambda: os.pwrite(*args))

    def fsync(self, descriptor: int) -> None:
        self._around(lambda: os.fsync(descriptor))

    def write(self, descriptor: int, data: memoryview) -> int:
        self._step()
        try:
            self._step()
        except CrashError:
            os.write(descriptor, data[: len(data) * 2 // 3])  # a torn row
            raise
        written = os.write(descriptor, data)
        self._step()
        return written

    def renameat2(self, *args: Any) -> int:
        if self._has_other_target and args[0] != args[2]:
            return errno.EXDEV
        result: int = self._around(lambda: RENAMEAT2(*args))
        return result


RENAMEAT2 = renames._renameat2


@pytest.mark.parametrize(
    ("way", "meanwhile"),
    [
        ("delete", "nothing"), ("delete", "new files"), ("delete", "a rewrite"), ("move", "new files"),
        ("copy", "new files"),
    ],
)  # fmt: skip
def test_whatever_instant_it_ends_at(
    tmp_path: Path, way: str, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a process ends, and the machine goes on
    monkeypatch.setattr(source_file, "is_settled", lambda *_: True)
    for at in range(1000):
        path, target = tmp_path / f"{at}", tmp_path / f"target{at}"
        path.mkdir()
        target.mkdir()
        uploaded = UploadedDirectory(path)
        uploaded.waits = False
        for name in NAMES:
            uploaded.add(os.fsencode(name))
        moved_to = None if way == "delete" else target
        crashing = Crashing(at, way == "copy")
        with monkeypatch.context() as patch:
            for module in (released_table, removal, destination):
                patch.setattr(module, "os", crashing)

            patch.setattr(renames, "_renameat2", crashing.renameat2)
            with contextlib.suppress(CrashError):
                uploaded.release(moved_to)
        new = changes(uploaded, meanwhile)
        uploaded.release(moved_to)
        assert uploaded.names() == sorted(new)
        for name, data in new.items():
            assert (path / name).read_bytes() == data
        if moved_to is not None:
            assert {os.fspath(each.relative_to(target)) for each in target.rglob("*") if each.is_file()} >= {
                name for name in NAMES if name not in new
            }
            assert not list(target.rglob(".dfud*"))
        states = Counter(uploaded.states())
        for name in NAMES:
            is_released = name not in new or meanwhile == "new files"
            assert states[name, "released"] == is_released
            assert states[name, "releasing"] >= states[name, "released"]
        if not crashing.has_crashed:
            assert at > 20
            return
    raise AssertionError("it never came to its end")


def _wait_for_a_later_birth() -> None:
    """Wait until files are born later than any row says: a new one may get the inode of one that was removed."""
    rows_end = time.time_ns() + 2_000_000
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= rows_end:  # which the kernel takes for births
        time.sleep(0.001)


def changes(uploaded: UploadedDirectory, meanwhile: str) -> dict[str, bytes]:
    """Change files as others do; return the new contents, by name."""
    if meanwhile == "nothing":
        return {}
    _wait_for_a_later_birth()
    new = {}
    for name in NAMES:
        path = uploaded.path / name
        if meanwhile == "new files" and not path.exists():
            path.write_bytes(b"quite new")
            new[name] = b"quite new"
        elif meanwhile == "a rewrite" and path.exists():
            path.write_bytes(b"more data")
            new[name] = b"more data"
    return new
