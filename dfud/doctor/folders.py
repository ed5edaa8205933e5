"""The directory: whether its folders and files can be read, how many there are, and which are meant."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from dfud.core.names import LOGS, UploadFilter
from dfud.core.text import counted, printable
from dfud.doctor.diagnosis import Diagnosis, fine, stops, warning
from dfud.doctor.overlaps import warn_of_uploads_below
from dfud.errors import UsageError
from dfud.files.links import LinkPolicy
from dfud.files.scan import Folder, WatchedTree
from dfud.processes.bounded_pattern import BoundedPattern
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import check_directory

_SUBJECT = "directory"
_TIMEOUT_S = 5.0  # for looking at files and folders; what is not seen by then is not judged


class Survey(NamedTuple):
    """What lies below the directory, as far as there was time to look."""

    n_folders: int  # the directory itself included; LOGS and what --upload_regex rules out are not
    is_whole: bool
    diagnoses: list[Diagnosis]


def survey(options: UploadOptions, logs: tuple[int, int], clock: Callable[[], float] = time.monotonic) -> Survey:
    """Walk through the directory as the watcher does; `logs` is the device and the inode of LOGS."""
    try:
        check_directory(options.directory)
        directory = os.fsencode(os.path.realpath(options.directory))
        path_filter = UploadFilter(options.upload_regex, compile_regex=BoundedPattern)
        tree = WatchedTree(directory, path_filter, links=LinkPolicy(options.follow_links, logs))
    except (UsageError, OSError) as error:
        return Survey(0, True, [stops(_SUBJECT, str(error))])
    deadline = clock() + _TIMEOUT_S
    n_folders, unreadable, is_whole = 0, [], True
    called_logs: list[bytes] = []

    def enter(folder: Folder, _dir_fd: int) -> bool:
        nonlocal n_folders
        n_folders += 1
        if os.path.basename(folder.path) == LOGS:
            called_logs.append(folder.path)
        return False

    for step in tree.walk(Folder(b"", take_all=True), enter):
        if step is not None and not _can_be_read(tree.dir_fd, step[0].version.path):
            unreadable.append(step[0].version.path)
        if clock() > deadline:
            is_whole = False
            break
    diagnoses = [warning(_SUBJECT, text) for text in _troubles(tree, path_filter, unreadable, is_whole)]
    overlaps = warn_of_uploads_below(directory, called_logs, path_filter)
    diagnoses += [warning(_SUBJECT, text) for text in overlaps]
    at_least = "" if is_whole else f"at least (after {_TIMEOUT_S:g} s) "
    found = f"{counted(n_folders, 'folder')} and {counted(tree.counts.accepted, 'file')} that would be uploaded"
    diagnoses.append(fine(_SUBJECT, f"{options.directory} can be read: {at_least}{found}"))
    tree.close()
    return Survey(n_folders, is_whole, diagnoses)


def _troubles(tree: WatchedTree, path_filter: UploadFilter, unreadable: list[bytes], is_whole: bool) -> list[str]:
    texts = []
    if tree.unread:
        names = f"{counted(len(tree.unread), 'folder')} cannot be read, such as {printable(tree.unread[0].path)}"
        texts.append(f"{names}; let this user list them, or --upload_regex leave them out")
    if unreadable:
        names = f"{counted(len(unreadable), 'file')} cannot be read, such as {printable(unreadable[0])}"
        texts.append(f"{names}; let this user read them")
    unmatched = "" if tree.counts.accepted or not is_whole else path_filter.unmatched_warning(tree.counts.files)
    return [*texts, unmatched] if unmatched else texts


def _can_be_read(dir_fd: int, path: bytes) -> bool:
    try:
        return os.access(path, os.R_OK, dir_fd=dir_fd, effective_ids=True)
    except OSError:  # its path is too long for the kernel
        return True
