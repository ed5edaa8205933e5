"""Publish files as instruments and copying programs do: python publishing.py DIR WAY PREFIX FILES SEED.

It imports nothing but what every Python has, so that any user can run it.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable

MAX_SIZE = 3_000
APPENDS = 3


def content(prefix: str, number: int, seed: str) -> bytes:
    """Return the content that a file has at the end."""
    source = random.Random(f"{seed} {prefix} {number}")
    return source.randbytes(source.randrange(MAX_SIZE))


def publish_by_link(path: str, data: bytes) -> None:
    """Write under a hidden name, link, unlink: Qt, and whatever must not replace anything."""
    hidden = _hidden(path)
    _write(hidden, data)
    os.link(hidden, path)
    os.unlink(hidden)


def publish_by_rename(path: str, data: bytes) -> None:
    """Write under a hidden name and rename: rsync, editors."""
    hidden = _hidden(path)
    _write(hidden, data)
    os.rename(hidden, path)


def publish_unnamed(path: str, data: bytes) -> None:
    """Write a file without a name, and give it one: O_TMPFILE of open(2)."""
    folder = os.path.dirname(path)
    unnamed = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
    try:
        os.write(unnamed, data)
        # With a folder, Python calls linkat(2), which alone follows the link in /proc.
        here = os.open(folder, os.O_RDONLY)
        os.link(f"/proc/self/fd/{unnamed}", path, src_dir_fd=here, follow_symlinks=True)
        os.close(here)
    finally:
        os.close(unnamed)


def publish_by_copy(path: str, data: bytes) -> None:
    """Write under the final name, in two steps: cp, and most programs."""
    with open(path, "wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        file.write(data[len(data) // 2 :])


def publish_by_append(path: str, data: bytes) -> None:
    """Open, append and close a few times: logs and tables."""
    for part in parts(data):
        with open(path, "ab", buffering=0) as file:
            file.write(part)


def parts(data: bytes) -> list[bytes]:
    """Return what is appended each time."""
    step = len(data) // APPENDS + 1
    return [data[at : at + step] for at in range(0, APPENDS * step, step)]


WAYS: dict[str, Callable[[str, bytes], None]] = {
    "link": publish_by_link,
    "rename": publish_by_rename,
    "unnamed": publish_unnamed,
    "copy": publish_by_copy,
    "append": publish_by_append,
}


def _hidden(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.part")


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def main(directory: str, way: str, prefix: str, files: str, seed: str) -> None:
    """Publish so many files."""
    for number in range(int(files)):
        WAYS[way](os.path.join(directory, f"{prefix}{number}"), content(prefix, number, seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
