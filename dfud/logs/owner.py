"""Which directory a LOGS belongs to that lies outside of it (--state_dir)."""

from __future__ import annotations

import os

from dfud.core.names import MAX_PATH_BYTES
from dfud.core.text import printable
from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder, topics

_OWNER_FILE = ".directory"  # holds the real path of the directory and a line end


def check_owner(folder: LogsFolder) -> None:
    """Raise UsageError if LOGS belongs to another directory; OSError if it cannot be read."""
    owner = _read_owner(folder)
    if owner is None and folder.is_elsewhere and topics(folder):
        owner = os.path.realpath(os.fsencode(os.path.dirname(folder.path)))  # the LOGS of an upload from there
    if owner is not None and owner != _own_path(folder):
        raise UsageError(
            f"{folder.path} belongs to {printable(owner)}, not to {printable(_own_path(folder))}; use another "
            f"--state_dir, or write the new path into {owner_file(folder)} if the directory was moved"
        )


def record_owner(folder: LogsFolder) -> None:
    """Write down whose LOGS this is, if that does not follow from where it is; OSError if that fails."""
    if folder.is_elsewhere and _read_owner(folder) is None:
        folder.replace(owner_file(folder), [_own_path(folder) + b"\n"])


def owner_file(folder: LogsFolder) -> str:
    """Return the path of the file that names the directory."""
    return folder.file(_OWNER_FILE)


def _own_path(folder: LogsFolder) -> bytes:
    return os.path.realpath(os.fsencode(folder.directory))


def _read_owner(folder: LogsFolder) -> bytes | None:
    try:
        with folder.open_to_read(owner_file(folder)) as file:
            text = file.read(MAX_PATH_BYTES + 1)
    except FileNotFoundError:
        return None
    return text[:-1] if text.endswith(b"\n") else text
