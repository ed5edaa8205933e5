"""Compare a folder with what was read back from a topic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dfud.demo.reader import File

_LOGS = b"LOGS"


class Comparison(NamedTuple):
    """What of a folder is on a topic."""

    files: int  # in the folder
    same: int  # of these, byte for byte the same on the topic, in size and time as well
    troubles: list[str]  # one for each file, here or there, that is not


def compare(folder: bytes, on_topic: Mapping[bytes, Mapping[str, File]]) -> Comparison:
    """Compare each file of `folder`, whatever is called LOGS at its top left out, with the topic's."""
    paths = set(_walk(folder))
    troubles = [f"{path!r} is on the topic and not in the folder" for path in sorted(set(on_topic) - paths)]
    same = 0
    for path in sorted(paths):
        trouble = _compare(os.path.join(folder, path), list(on_topic.get(path, {}).values()))
        if trouble:
            troubles.append(f"{path!r} {trouble}")
        else:
            same += 1
    return Comparison(len(paths), same, troubles)


def _walk(folder: bytes) -> Iterator[bytes]:
    for parent, folders, names in os.walk(folder):
        if parent == folder and _LOGS in folders:
            folders.remove(_LOGS)
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)


def _compare(full_path: bytes, versions: list[File]) -> str:
    """Return what is wrong with the topic's version of a file; nothing where all is right."""
    if not versions:
        return "is not on the topic"
    if len(versions) > 1:
        return f"is on the topic in {len(versions)} versions"
    (file,) = versions
    if not file.complete:
        return f"is not complete: {len(file.chunks)} of {file.n_chunks} chunks"
    found = os.stat(full_path)
    if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
        return "has another size or time"
    with open(full_path, "rb") as stream:
        return "" if stream.read() == file.data else "differs"
