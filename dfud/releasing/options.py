"""What the user asked for, and the checks of it that need no broker."""

from __future__ import annotations

import os
from typing import NamedTuple

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.owner import check_owner
from dfud.receipts.required import Required
from dfud.releasing.destination import Destination


class ReleaseOptions(NamedTuple):
    """What the user asked for."""

    directory: str
    topic: str
    receipts: str  # the topic with the receipts
    required: Required
    to: str | None = None  # the directory to move to; None to delete
    acts: bool = False  # or only lists what would be done
    older_than_s: float | None = None
    keep_free: float | None = None  # percent
    rehash: bool = False
    upload_regex: str | None = None
    state_dir: str | None = None
    json: bool = False
    print0: bool = False
    run_marker: tuple[str, ...] = ()  # patterns of markers: files go only once their run is sealed


def check_tables(folder: LogsFolder) -> None:
    """Raise UsageError if there are no tables of this directory and topic, or if they cannot be read."""
    try:
        check_owner(folder)
        if folder.exists(folder.completed) or folder.shards():
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or folder.path}: {error.strerror}") from None
    raise UsageError(
        f"no upload of {folder.directory} to topic {folder.topic} is recorded in {folder.path}; check DIR, "
        "--topic_name and --state_dir"
    )


def open_destination(
    options: ReleaseOptions, directory: str, option: str = "--to", keep_free: str = "--keep_free"
) -> Destination | None:
    """Return the directory to move to; UsageError, with the names of the options, if that is impossible."""
    if options.to is None:
        return None
    path = os.path.realpath(options.to)
    if os.path.commonpath([path, directory]) == directory:
        raise UsageError(f"{option} {options.to} lies in the directory that is uploaded; choose another one")
    try:
        destination = Destination(path)
    except OSError as error:
        raise UsageError(
            f"cannot open {option} {options.to}: {error.strerror}; give a directory that exists"
        ) from None
    if options.keep_free is not None and destination.device == os.stat(directory).st_dev:
        raise UsageError(f"{keep_free} frees nothing with {option} {options.to}, which is on the same file system")
    return destination
