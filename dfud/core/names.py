"""The paths of files: which of them are uploaded or downloaded, and which are safe.

A path is bytes, relative to the watched directory and "/"-separated. It is decoded only to be shown, matched or
written into a table (`os.fsdecode`: bytes that are not UTF-8 become surrogates, and are restored unchanged).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

LOGS = b"LOGS"
_NOT_NAMES = (b"", b".", b"..")
_MAX_NAME_BYTES = 255  # NAME_MAX
_MAX_PATH_BYTES = 4095  # PATH_MAX without the NUL
DEFAULT_UPLOAD_REGEX = r"^(?!\.)(?!.*\.log$).*"


def name_filter(upload_regex: str) -> Callable[[bytes], bool]:
    """Return a predicate of paths: the file's name matches, and the file does not lie in LOGS.

    The expression is matched from the start of the name, as `re.match` does, without the folders above. Raises
    `re.error` for an invalid one.
    """
    pattern = re.compile(upload_regex, re.DOTALL)

    def accepts(path: bytes) -> bool:
        folders, _, name = path.rpartition(b"/")
        if folders == LOGS or folders.startswith(LOGS + b"/"):
            return False
        return pattern.match(os.fsdecode(name)) is not None

    return accepts


def path_filter(download_regex: str) -> Callable[[bytes], bool]:
    """Return a predicate of paths: the relative path matches from its start; `re.error` for an invalid one."""
    if not download_regex:
        return lambda path: True
    pattern = re.compile(download_regex, re.DOTALL)
    return lambda path: pattern.match(os.fsdecode(path)) is not None


def path_fault(path: bytes) -> str:
    """Return why `path` cannot be the path of a file below a directory of ours, or "" if it can.

    The path may come from anyone who can write to the topic, and nothing about it is trusted.
    """
    if not path:
        return "it is empty"
    if b"\0" in path:
        return "it contains a NUL"
    if path.startswith(b"/"):
        return "it is absolute"
    if len(path) > _MAX_PATH_BYTES:
        return f"it is longer than {_MAX_PATH_BYTES} bytes"
    parts = path.split(b"/")
    for part in parts:
        if part in _NOT_NAMES:
            return f"it contains the name {os.fsdecode(part)!r}"
        if len(part) > _MAX_NAME_BYTES:
            return f"it contains a name longer than {_MAX_NAME_BYTES} bytes"
    if parts[0] == LOGS:
        return "it lies in LOGS"
    return ""
