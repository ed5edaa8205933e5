"""Compare a folder with the files that were read back from a topic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dfud.demo.reader import File

_LOGS = b"LOGS"


class Comparison(NamedTuple):
    """How far the files of a folder are on a topic."""

    files: int  # in the folder
    same: int  # of these, identical on the topic: in content, size and time
    differences: list[str]  # one for each other file, of the folder or the topic


def compare(folder: bytes, on_topic: Mapping[bytes, Mapping[str, File]]) -> Comparison:
    """Compare each file of `folder` with the topic's, without the folder LOGS at its top."""
    paths = set(_walk(folder))
    differences = [f"{path!r} is on the topic and not in the folder" for path in sorted(set(on_topic) - paths)]
    same = 0
    for path in sorted(paths):
        difference = _compare(os.path.join(folder, path), list(on_topic.get(path, {}).values()))
        if difference:
            differences.append(f"{path!r} {difference}")
        else:
            same += 1
    return Comparison(len(paths), same, differences)


def _walk(folder: bytes) -> Iterator[bytes]:
    for parent, folders, names in os.walk(folder):
        if parent == folder and _LOGS in folders:
            folders.remove(_LOGS)
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)


def _compare(full_path: bytes, versions: list[File]) -> str:
    """Return how the topic's version of a file differs; "" if it does not."""
    if not versions:
        return "is not on the topic"
    if len(versions) > 1:
        return f"is on the topic in {len(versions)} versions"
    (file,) = versions
    if not file.complete:
        return f"is incomplete: {len(file.chunks)} of {file.n_chunks} chunks"
    status = os.stat(full_path)
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        return "has another size or time"
    with open(full_path, "rb") as stream:
        return "" if stream.read() == file.data else "differs"
