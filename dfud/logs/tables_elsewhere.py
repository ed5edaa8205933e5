"""OpenMSIStream's tables beside its log file: its --logger_file_path moves all of LOGS, dfud's only the log."""

from __future__ import annotations

import os

from dfud.core.openmsistream_tables import is_openmsistream
from dfud.files.open_folder import open_regular
from dfud.logs.layout import LogsFolder


def elsewhere_fault(folder: LogsFolder, log_path: str) -> str | None:
    """Return what is wrong if OpenMSIStream's tables are where the log is to be, and there are none in LOGS."""
    where = log_path if os.path.isdir(log_path) else os.path.dirname(log_path) or os.curdir
    try:
        if folder.is_made and (folder.exists(folder.in_progress) or folder.exists(folder.completed)):
            return None
        if not _has_tables(where, os.path.basename(folder.in_progress)):
            return None
    except OSError:
        return None  # what is wrong with LOGS or the log file is reported by those who open them
    return (
        f"OpenMSIStream left its tables of topic {folder.topic} in {where}, where its --logger_file_path has put "
        f"all of LOGS; dfud imports those in {folder.path}: move {os.path.basename(folder.in_progress)} and "
        f"uploaded_to_{folder.topic}*.csv there, or, to begin anew, away"
    )


def _has_tables(where: str, in_progress: str) -> bool:
    """Return whether OpenMSIStream has written into a folder; it always makes the table of what is in progress."""
    dir_fd = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_regular(in_progress, os.O_RDONLY, dir_fd)
    finally:
        os.close(dir_fd)
    with open(descriptor, encoding="utf-8-sig", errors="surrogateescape") as lines:
        return is_openmsistream([lines.readline(1000) for _ in range(3)])
