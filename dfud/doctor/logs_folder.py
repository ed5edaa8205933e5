"""LOGS: whether this user may write into it, who else may, whether a run uses it, and how much room it has."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from dfud.core.sizes import shown_size
from dfud.doctor.diagnosis import Diagnosis, fine, skipped, stops, warning
from dfud.doctor.overlaps import warn_of_uploads_above
from dfud.errors import UsageError
from dfud.files.open_folder import open_regular
from dfud.logs.layout import LogsFolder
from dfud.logs.log_files import FileInLogs, choose_log_file
from dfud.logs.session import RunState
from dfud.logs.status import run_report
from dfud.logs.takeover import find_openmsistream_tables
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import check_access, check_logs, logs_fault

_LOGS, _RUN, _DISK = "LOGS", "run", "disk"
_LOW_BYTES, _FULL_BYTES = 1_000_000_000, 1_000_000
_LOW_INODES = 1_000


def folder_of(options: UploadOptions) -> LogsFolder:
    """Return LOGS as the upload would use it, which may not exist yet."""
    state_dir = os.path.realpath(options.state_dir) if options.state_dir else None
    return LogsFolder(os.path.realpath(options.directory), options.topic, state_dir)


def check_logs_folder(options: UploadOptions) -> Iterator[Diagnosis]:
    """Check LOGS, and write nothing: neither a file nor a lock."""
    parent = options.state_dir or options.directory
    if not os.path.isdir(parent):
        yield skipped(_LOGS, f"not looked at, as {parent} is not a directory")
        return
    folder = folder_of(options)
    yield from (warning(_LOGS, text) for text in warn_of_uploads_above(folder.path))
    try:
        if folder.is_made:
            yield from _check_made(folder, options)
        else:
            check_access(folder.parent_fd, os.path.dirname(folder.path))
            yield fine(_LOGS, f"{folder.path} does not exist yet, and can be made")
            yield fine(_RUN, "no upload of this directory has run")
        yield from _check_room(folder)
    except OSError as error:
        yield stops(_LOGS, logs_fault(folder, error))


def _check_made(folder: LogsFolder, options: UploadOptions) -> Iterator[Diagnosis]:
    check_access(folder.dir_fd, folder.path)
    try:
        check_logs(folder)
    except UsageError as error:
        yield stops(_LOGS, str(error))
    if folder.weakness:
        yield warning(_LOGS, folder.weakness)
    _check_files(folder)
    yield fine(_LOGS, f"{folder.path} can be read and written")
    yield from _check_log(folder, options)
    in_progress, completed = find_openmsistream_tables(folder)
    if in_progress or completed:
        yield fine(
            _LOGS, "its tables are OpenMSIStream's: an upload imports them; end OpenMSIStream before it starts"
        )
    yield _run(folder)


def _check_files(folder: LogsFolder) -> None:
    """Raise OSError if a table or the lock of the topic is not what dfud would open."""
    tables = (folder.in_progress, folder.completed, folder.unproven, folder.topic_id, *folder.shards())
    for path in tables:
        with contextlib.suppress(FileNotFoundError):
            folder.open_to_read(path).close()
    with contextlib.suppress(FileNotFoundError):
        _open_to_write(folder, folder.lock)


def _open_to_write(folder: LogsFolder, path: str) -> None:
    """Open a file as a run does that writes into it, and change nothing; OSError if that fails."""
    try:
        os.close(open_regular(os.path.basename(path), os.O_RDWR, folder.dir_fd))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def _check_log(folder: LogsFolder, options: UploadOptions) -> Iterator[Diagnosis]:
    """Check the log file, be it in LOGS or elsewhere."""
    log_file = choose_log_file(options.log.file_path, FileInLogs(folder, folder.log), options.directory)
    try:
        if isinstance(log_file, FileInLogs):
            with contextlib.suppress(FileNotFoundError):
                _open_to_write(folder, folder.log)
            return
        with log_file.folder() as (dir_fd, name):
            if log_file.stat() is None:
                check_access(dir_fd, os.path.dirname(log_file.path))
            elif not os.access(name, os.W_OK, dir_fd=dir_fd, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), log_file.path)
    except OSError as error:
        yield stops("log file", f"cannot open {log_file.path}: {error.strerror}; see --logger_file_path")


def _run(folder: LogsFolder) -> Diagnosis:
    """Say whether an upload is running, and how the last one ended."""
    report = run_report(folder)
    if report.run is RunState.RUNNING:
        status = report.status
        which = "" if status is None else f": process {status.pid} on {status.host}, since {status.started}"
        return fine(_RUN, f"an upload is running{which}; another one would end at once with status 75")
    if report.run is RunState.UNFINISHED:
        return fine(
            _RUN, "no upload by dfud is running; the last one was interrupted, or left files: the next one goes on"
        )
    return fine(_RUN, "no upload by dfud is running")


def _check_room(folder: LogsFolder) -> Iterator[Diagnosis]:
    room = os.fstatvfs(folder.dir_fd if folder.is_made else folder.parent_fd)
    free_bytes = room.f_bavail * room.f_frsize
    text = f"{shown_size(free_bytes)} free for {folder.path}"
    has_inodes = not room.f_files or room.f_favail >= _LOW_INODES
    if free_bytes < _FULL_BYTES or (room.f_files and not room.f_favail):
        yield stops(_DISK, f"only {text}, and {room.f_favail} inodes; free some, or use --state_dir")
    elif free_bytes < _LOW_BYTES or not has_inodes:
        inodes = "" if has_inodes else f", and {room.f_favail} inodes"
        yield warning(_DISK, f"only {text}{inodes}; free some, or use --state_dir")
    else:
        yield fine(_DISK, text)
