"""What to do with the files that an earlier run left in progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from dfud.core.tables import InProgressRow, version_of
from dfud.core.text import counted, printable
from dfud.core.version import FileVersion
from dfud.files.openat import stat_at
from dfud.uploading.ledger import Ledger


def present_version(dir_fd: int, path: bytes) -> FileVersion:
    """Return the version that `path` below the open directory `dir_fd` has now; OSError if there is none."""
    status = stat_at(dir_fd, path)
    return FileVersion(path, status.st_size, status.st_mtime_ns)


def resume_rows(
    rows: Iterable[InProgressRow],
    ledger: Ledger,
    present: Callable[[bytes], FileVersion],
    log: logging.Logger,
) -> None:
    """Add the files of `rows` to `ledger`; `present` returns the version of a path, or raises OSError."""
    for row in rows:
        version = version_of(row)
        name = printable(version.path)
        try:
            found = present(version.path)
        except OSError as error:
            _resume_missing(row, version, ledger, str(error.strerror), log)
            continue
        if found != version:
            ledger.on_found(found, by_event=False)
            log.warning(f"{name} has changed since parts of it were uploaded: uploading all of it again")
        elif ledger.is_recorded(version):
            # The crash came between the completed table and this one; or the file was rewritten and kept its time.
            ledger.on_found(version, by_event=True)
            log.info(f"{name} is already uploaded: comparing its content with what was sent")
        else:
            ledger.resume(row, version)
            log.info(f"{name}: {row.n_chunks_to_send} of {counted(row.n_chunks, 'chunk')} still to send")


def _resume_missing(
    row: InProgressRow, version: FileVersion, ledger: Ledger, reason: str, log: logging.Logger
) -> None:
    name = printable(version.path)
    if ledger.is_recorded(version):
        log.info(f"{name} is already uploaded; it cannot be accessed any more: {reason}")
    elif row.n_chunks_delivered:
        unsent = counted(row.n_chunks_to_send, "chunk")
        ledger.keep_failed(row, f"{reason}: {unsent} of it cannot be sent")
        log.error(f"{name} is uploaded in part and cannot be accessed any more: {reason}")
    else:
        log.warning(f"{name} was to be uploaded and cannot be accessed any more ({reason}): skipped")
