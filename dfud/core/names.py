"""The paths of files: which of them are uploaded or downloaded, and which are safe.

A path is bytes, relative to the watched directory and "/"-separated. It is decoded only to be shown, matched or
written into a table (`os.fsdecode`: bytes that are not UTF-8 become surrogates, and are restored unchanged).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

LOGS = b"LOGS"
RELEASING = b".dfud-releasing."  # so begins the name that a file has while it is removed; nothing uploads it
_NOT_NAMES = (b"", b".", b"..")
_MAX_NAME_BYTES = 255  # NAME_MAX
# Longer than PATH_MAX, which limits only what a system call is given: folders are opened one by one.
MAX_PATH_BYTES = 65_535
MAX_FOLDERS = 2_048  # on the way to a file: as many as fit into PATH_MAX. No message makes more of them.


UNDECIDED = "backtracks on its name for too long; simplify it"  # after the option
_MAX_UNDECIDED = 10_000  # paths that are remembered


class UndecidedError(Exception):
    """It takes too long to find out whether a text matches a regular expression."""


Match = Callable[[str], bool]  # whether a text matches from its start; may raise UndecidedError


def compile_unbounded(regex: str) -> Match:
    """Return the function that matches a text with a regular expression, however long that takes."""
    match = re.compile(regex, re.DOTALL).match
    return lambda text: match(text) is not None


class _PathPattern:
    """A regular expression for paths, and those of them on which it takes too long, so that they do not match."""

    def __init__(self, match: Match) -> None:
        self._match = match
        self._undecided: dict[bytes, None] = {}
        self._new: list[bytes] = []

    def matches(self, path: bytes, matched: bytes) -> bool:
        """Return whether `matched`, all or the end of `path`, matches."""
        if path in self._undecided:
            return False
        try:
            return self._match(os.fsdecode(matched))
        except UndecidedError:
            if len(self._undecided) < _MAX_UNDECIDED:
                self._undecided[path] = None
            self._new.append(path)
            return False

    def pop_undecided(self) -> list[bytes]:
        """Return the paths on which it has taken too long since the last call."""
        paths, self._new = self._new, []
        return paths


class UploadFilter:
    """Which files are uploaded, by their paths."""

    def __init__(
        self,
        upload_regex: str | None = None,
        logs: bytes = LOGS,
        compile_regex: Callable[[str], Match] = compile_unbounded,
    ) -> None:
        """Use a regular expression, or the default if it is None; `re.error` for an invalid one.

        It is matched from the start of the file's name, as `re.match` does, or of the path if it has a "/" in it.
        `logs` is the path of LOGS, if that lies elsewhere below the directory.
        """
        self._logs = (LOGS + b"/", logs + b"/")
        self._regex = upload_regex
        self._pattern = None if upload_regex is None else _PathPattern(compile_regex(upload_regex))
        self._is_of_path = upload_regex is not None and "/" in upload_regex

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be uploaded: its path matches, and does not lead into LOGS.

        By default nothing hidden matches, nothing in hidden folders, and no name that ends in ".log".
        """
        if path.startswith(self._logs):
            return False
        if self._pattern is None:
            return not (path.startswith(b".") or b"/." in path or path.endswith(b".log"))
        if RELEASING in path and is_releasing(path):
            return False
        return self._pattern.matches(path, path if self._is_of_path else path.rpartition(b"/")[2])

    def pop_undecided(self) -> list[bytes]:
        """Return the paths on which the expression has taken too long since the last call."""
        return [] if self._pattern is None else self._pattern.pop_undecided()

    def is_in_logs(self, path: bytes) -> bool:
        """Return whether a file lies in LOGS."""
        return path.startswith(self._logs)

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


class DownloadFilter:
    """Which files are downloaded, by their paths."""

    def __init__(
        self, download_regex: str = "", compile_regex: Callable[[str], Match] = compile_unbounded
    ) -> None:
        """Use a regular expression, or accept all files if it is empty; `re.error` for an invalid one."""
        self._pattern = _PathPattern(compile_regex(download_regex)) if download_regex else None

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be downloaded: its path matches from its start."""
        return self._pattern is None or self._pattern.matches(path, path)

    def pop_undecided(self) -> list[bytes]:
        """Return the paths on which the expression has taken too long since the last call."""
        return [] if self._pattern is None else self._pattern.pop_undecided()


def is_releasing(path: bytes) -> bool:
    """Return whether a file has the name that it gets while `dfud release` removes it.

    >>> is_releasing(b"run7/.dfud-releasing.0123456789abcdef"), is_releasing(b"run7/image.tif")
    (True, False)
    """
    return path.rpartition(b"/")[2].startswith(RELEASING)


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
    if len(parts) > MAX_FOLDERS + 1:
        return f"it leads through more than {MAX_FOLDERS:,} folders"
    for part in parts:
        if part in _NOT_NAMES:
            return f"it contains the name {os.fsdecode(part)!r}"
        if len(part) > _MAX_NAME_BYTES:
            return f"it contains a name longer than {_MAX_NAME_BYTES} bytes"
    if parts[0] == LOGS:
        return "it lies in LOGS"
    return ""
