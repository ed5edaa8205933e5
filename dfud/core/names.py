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
# Longer than PATH_MAX, which limits only what a system call is given: folders are opened one by one.
MAX_PATH_BYTES = 65_535


class UploadFilter:
    """Which files are uploaded, by their paths."""

    def __init__(self, upload_regex: str | None = None, logs: bytes = LOGS) -> None:
        """Use a regular expression, or the default if it is None; `re.error` for an invalid one.

        It is matched from the start of the file's name, as `re.match` does, or of the path if it has a "/" in it.
        `logs` is the path of LOGS, if that lies elsewhere below the directory.
        """
        self._logs = (LOGS + b"/", logs + b"/")
        self._regex = upload_regex
        self._pattern = None if upload_regex is None else re.compile(upload_regex, re.DOTALL)
        self._is_of_path = upload_regex is not None and "/" in upload_regex

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be uploaded: its path matches, and does not lead into LOGS.

        By default nothing hidden matches, nothing in hidden folders, and no name that ends in ".log".
        """
        if path.startswith(self._logs):
            return False
        if self._pattern is None:
            return not (path.startswith(b".") or b"/." in path or path.endswith(b".log"))
        return self._pattern.match(os.fsdecode(path if self._is_of_path else path.rpartition(b"/")[2])) is not None

    def accepts_folder(self, path: bytes) -> bool:
        """Return whether a file below a folder may be accepted, so that the folder must be scanned."""
        if (path + b"/").startswith(self._logs):
            return False
        return self._pattern is not None or not (path.startswith(b".") or b"/." in path)

    def unmatched_warning(self, n_files: int) -> str:
        """Return what is worth a warning if none of `n_files` files that are there is accepted; "" for nothing."""
        if self._regex is None or not n_files:
            return ""
        files = "the 1 file that is there" if n_files == 1 else f"the {n_files:,} files that are there"
        of_what = "their paths below DIR" if self._is_of_path else "their names, as it has no / in it"
        return f"--upload_regex {self._regex} matches none of {files}: it is compared with the start of {of_what}"


def path_filter(download_regex: str) -> Callable[[bytes], bool]:
    """Return a predicate of paths: the relative path matches from its start; `re.error` for an invalid one."""
    if not download_regex:
        return lambda path: True
    pattern = re.compile(download_regex, re.DOTALL)
    return lambda path: pattern.match(os.fsdecode(path)) is not None


def leads_outside(path: bytes) -> bool:
    """Return whether `path` may lead out of the directory, or to a place that no scan names.

    >>> leads_outside(b"a/b"), leads_outside(b"/etc/shadow"), leads_outside(b"a/../../b"), leads_outside(b"LOGS/x")
    (False, True, True, True)
    """
    parts = path.split(b"/")
    return b"\0" in path or parts[0] == LOGS or any(part in _NOT_NAMES for part in parts)


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
    if len(path) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    parts = path.split(b"/")
    for part in parts:
        if part in _NOT_NAMES:
            return f"it contains the name {os.fsdecode(part)!r}"
        if len(part) > _MAX_NAME_BYTES:
            return f"it contains a name longer than {_MAX_NAME_BYTES} bytes"
    if parts[0] == LOGS:
        return "it lies in LOGS"
    return ""
