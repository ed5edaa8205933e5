"""Files below an open directory, at paths of any length: the kernel takes only PATH_MAX bytes at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_LONGEST = 4095  # bytes; PATH_MAX counts the final NUL


def open_below(folder: int, path: bytes, flags: int) -> int:
    """Open `path`, relative to the open directory `folder`, as `os.open` does."""
    if len(path) <= _LONGEST:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=folder)
    with _nearer(folder, path) as (parent, rest):
        return os.open(rest, flags | os.O_CLOEXEC, dir_fd=parent)


def stat_below(folder: int, path: bytes, follow_symlinks: bool = True) -> os.stat_result:
    """Look at `path`, relative to the open directory `folder`, as `os.stat` does."""
    if len(path) <= _LONGEST:
        return os.stat(path, dir_fd=folder, follow_symlinks=follow_symlinks)
    with _nearer(folder, path) as (parent, rest):
        return os.stat(rest, dir_fd=parent, follow_symlinks=follow_symlinks)


@contextlib.contextmanager
def _nearer(folder: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Give an open folder on the way to `path`, and what of `path` is left, short enough for the kernel."""
    with contextlib.ExitStack() as opened:
        while len(path) > _LONGEST:
            cut = path.rindex(b"/", 0, _LONGEST + 1)
            step = os.open(path[:cut], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            opened.callback(os.close, step)
            folder, path = step, path[cut + 1 :]
        yield folder, path
