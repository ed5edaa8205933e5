"""What to do with the files that an earlier run left in progress."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dfud.core.tables import InProgressRow, stamp_of, version_of
from dfud.core.text import counted, printable
from dfud.core.version import FileStamp, FileVersion
from dfud.files.links import LinkPolicy
from dfud.files.openat import look
from dfud.logs.log_lines import about
from dfud.messages import FileFound
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.ledger import Ledger


class PresentVersion(NamedTuple):
    """What there is at a path now."""

    version: FileVersion
    stamp: FileStamp


def present_version(dir_fd: int, links: LinkPolicy, path: bytes) -> PresentVersion:
    """Return the version that `path` below the open directory `dir_fd` has now; OSError if there is none."""
    status = look(dir_fd, path, links)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    version = FileVersion(path, status.st_size, status.st_mtime_ns)
    return PresentVersion(version, FileStamp(status.st_ctime_ns, status.st_ino))


def take_markers(
    rows: Iterable[InProgressRow],
    is_marker: Callable[[bytes], bool],
    ledger: Ledger,
    present: Callable[[bytes], PresentVersion],
) -> tuple[list[InProgressRow], list[FileFound]]:
    """Take the markers of runs out of `rows`: they are sent once their runs are sealed, and then as a whole.

    A marker that is recorded, or is no file any more, stays.
    """
    others: list[InProgressRow] = []
    markers: list[FileFound] = []
    for row in rows:
        version = version_of(row)
        if is_marker(version.path) and not ledger.is_recorded(version):
            with contextlib.suppress(OSError):
                found, stamp = present(version.path)
                markers.append(FileFound(found, False, stamp.ctime_ns, stamp.inode))
                continue
        others.append(row)
    return others, markers


def resume_rows(
    rows: Iterable[InProgressRow],
    ledger: Ledger,
    present: Callable[[bytes], PresentVersion],
    chunk_limit: ChunkLimit,
    log: logging.Logger,
) -> None:
    """Add the files of `rows` to `ledger`; `present` returns the version of a path, or raises OSError.

    A file whose chunks can no longer be sent begins again, in chunks of the present size.
    """
    for row in rows:
        version = version_of(row)
        name, fields = printable(version.path), about(version.path)
        try:
            found, stamp = present(version.path)
        except OSError as error:
            if isinstance(error, (IsADirectoryError, NotADirectoryError)):
                reason = str(error.strerror)
                log.warning(
                    f"{name} was to be uploaded and is no file any more ({reason}): skipped",
                    extra=about(version.path, cause=reason),
                )
            else:
                _resume_missing(row, version, ledger, str(error.strerror), log)
            continue
        if found != version:
            ledger.on_found(found, compare=False, stamp=stamp, is_asked=False, is_found=False)
            log.warning(
                f"{name} has changed since parts of it were uploaded: uploading all of it again", extra=fields
            )
        elif ledger.is_recorded(version):
            # The crash came between the completed table and this one; or the file was rewritten and kept its time.
            ledger.on_found(version, compare=True, stamp=stamp, is_asked=False, is_found=False)
            log.info(f"{name} is already uploaded: comparing its content with what was sent", extra=fields)
        elif obstacle := chunk_limit.obstacle(row):
            ledger.on_found(version, compare=False, stamp=stamp, is_asked=False, is_found=False)
            log.warning(
                f"{name} was being uploaded in chunks of {row.chunk_size} bytes, which can no longer be sent "
                f"({obstacle}): uploading all of it again, in smaller ones",
                extra=about(version.path, cause=obstacle),
            )
        elif row.n_chunks_delivered and stamp.differs_from(stamp_of(row)):
            ledger.resume(row, version, stamp)
            log.warning(
                f"{name} has the same size and modification time as when parts of it were uploaded, "
                f"but {_difference(stamp, stamp_of(row))}: uploading all of it again",
                extra=fields,
            )
        else:
            ledger.resume(row, version, stamp)
            log.info(
                f"{name}: {row.n_chunks_to_send:,} of {counted(row.n_chunks, 'chunk')} still to send", extra=fields
            )


def _difference(stamp: FileStamp, earlier: FileStamp) -> str:
    is_other = stamp.inode != earlier.inode and stamp.inode and earlier.inode
    return "it is another file (inode)" if is_other else "it was changed since (ctime)"


def _resume_missing(
    row: InProgressRow, version: FileVersion, ledger: Ledger, reason: str, log: logging.Logger
) -> None:
    name, fields = printable(version.path), about(version.path, cause=reason)
    if ledger.is_recorded(version):
        log.info(f"{name} is already uploaded; it cannot be accessed any more: {reason}", extra=fields)
    elif row.n_chunks_delivered:
        unsent = counted(row.n_chunks_to_send, "chunk")
        ledger.keep_failed(row, f"{reason}: {unsent} of it cannot be sent")
        log.error(f"{name} is uploaded in part and cannot be accessed any more: {reason}", extra=fields)
    else:
        log.warning(f"{name} was to be uploaded and cannot be accessed any more ({reason}): skipped", extra=fields)
