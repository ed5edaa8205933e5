"""Which files are uploaded, by their paths.

A path is bytes, relative to the watched directory and "/"-separated; it is decoded only to be shown, matched
or written into a table (`os.fsdecode`: bytes that are not UTF-8 become surrogates and come back unchanged).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

LOGS = b"LOGS"
_NO_NAMES = (b"", b".", b"..")
_MAX_NAME_BYTES = 255  # bytes, NAME_MAX
_MAX_PATH_BYTES = 4095  # bytes, PATH_MAX without the NUL
DEFAULT_UPLOAD_REGEX = r"^(?!\.)(?!.*\.log$).*"


def name_filter(upload_regex: str) -> Callable[[bytes], bool]:
    """Return a predicate of paths: the file's name matches, and it does not lie in LOGS.

    The expression is matched from the start of the name alone, as `re.match` does, whatever the folders
    above are called; raises `re.error` for a bad one.
    """
    pattern = re.compile(upload_regex, re.DOTALL)

    def accepts(path: bytes) -> bool:
        folders, _, name = path.rpartition(b"/")
        if folders == LOGS or folders.startswith(LOGS + b"/"):
            return False
        return pattern.match(os.fsdecode(name)) is not None

    return accepts


def path_filter(download_regex: str) -> Callable[[bytes], bool]:
    """Return a predicate of paths: the whole relative path matches from its start; `re.error` for a bad one."""
    if not download_regex:
        return lambda path: True
    pattern = re.compile(download_regex, re.DOTALL)
    return lambda path: pattern.match(os.fsdecode(path)) is not None


def path_fault(path: bytes) -> str:
    """Return why `path` can't be that of a file below a directory of ours, or "" if it can.

    It is a path that somebody else has written: nothing of it is to be trusted.
    """
    if not path:
        return "it is empty"
    if b"\0" in path:
        return "it has a NUL in it"
    if path.startswith(b"/"):
        return "it is absolute"
    if len(path) > _MAX_PATH_BYTES:
        return f"it is longer than {_MAX_PATH_BYTES} bytes"
    parts = path.split(b"/")
    for part in parts:
        if part in _NO_NAMES:
            return f"it has {os.fsdecode(part)!r} for a name in it"
        if len(part) > _MAX_NAME_BYTES:
            return f"it has a name of more than {_MAX_NAME_BYTES} bytes in it"
    if parts[0] == LOGS:
        return "it lies in LOGS"
    return ""
