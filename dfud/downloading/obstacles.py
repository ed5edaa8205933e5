"""Files where a folder has to be, and folders where a file has to be: what was a file became a folder, or back."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.sent import Sent
from dfud.core.text import printable
from dfud.downloading.placed import placed_sent
from dfud.downloading.supervisor_link import Report
from dfud.files.confined import ConfinedTree

REPLACED = "replaced"  # the folder in that of the parts for what was in the way
_MAX_NAME_BYTES = 255
_MAX_REMEMBERED = 1_000  # folders
_MAX_SEARCHED = 1_000_000  # files in folders that stay


class _Content(NamedTuple):
    """What lies below a folder."""

    latest: bytes  # path of the file that was sent last; b"" if there is none
    sent: Sent | None  # when that was
    is_ours: bool  # there is nothing but folders and files that a download has put there
    folders: list[bytes]  # paths, each after the one that it lies in
    n_entries: int


class Obstacles:
    """Responsible for what is in the way of a file: removed if it was sent before the file, else it stays.

    What no download has put there is never deleted, but moved to a folder in LOGS, and the user is told where.
    """

    def __init__(self, tree: ConfinedTree, parts_fd: int, report: Report) -> None:
        """Move what has to be kept into the folder of parts that is open as `parts_fd`."""
        self._tree = tree
        self._parts_fd = parts_fd
        self._report = report
        self._n_searchable = _MAX_SEARCHED
        self._latest: dict[bytes, bytes] = {}  # by path of a folder, the file in it that was sent last

    def is_overtaken(self, path: bytes, sent: Sent) -> bool:
        """Return whether a file above `path`, or one below it, was sent after `sent`."""
        above = self._file_above(path)
        if above:
            placed = placed_sent(self._tree, above)
            return placed is not None and placed.is_after(sent)
        return self._is_folder(path) and self._is_later_below(path, sent)

    def clear(self, path: bytes, sent: Sent) -> bool:
        """Make room for a file at `path`; return False if what is there was sent later.

        Raises OSError if it cannot be moved, or is neither a file nor a folder.
        """
        if self.is_overtaken(path, sent):
            self._clear_earlier(path, sent)
            return False
        above = self._file_above(path)
        if above:
            self._clear_file(above)
        elif self._is_folder(path):
            self._clear_folder(path, sent)
        self._tree.close_folders()
        return True

    # -- a file where a folder has to be

    def _file_above(self, path: bytes) -> bytes:
        """Return the path of the first thing on the way to `path` that is no folder; b"" if there is none."""
        end = path.find(b"/")
        while end >= 0:
            try:
                self._tree.open_folder(path[:end])
            except FileNotFoundError:
                return b""
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    return path[:end]
                raise
            end = path.find(b"/", end + 1)
        return b""

    def _clear_file(self, path: bytes) -> None:
        if self._tree.stat_file(path) is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if placed_sent(self._tree, path) is None:
            self._move_away(path, "file")
            return
        folder_fd, name = self._parent(path)
        os.unlink(name, dir_fd=folder_fd)

    # -- a folder where a file has to be

    def _is_folder(self, path: bytes) -> bool:
        try:
            folder_fd, name = self._parent(path)
            return stat.S_ISDIR(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def _is_later_below(self, path: bytes, sent: Sent) -> bool:
        """Return whether a file below a folder was sent after `sent`; the folder is searched once for many."""
        known = self._latest.get(path)
        placed = placed_sent(self._tree, known) if known else None
        if placed is None or not placed.is_after(sent):
            content = self._search(path)
            placed = content.sent
            if len(self._latest) >= _MAX_REMEMBERED:
                self._latest.clear()
            self._latest[path] = content.latest
        return placed is not None and placed.is_after(sent)

    def _search(self, path: bytes) -> _Content:
        latest, sent, is_ours, folders, n_entries = b"", None, True, [path], 0
        for folder in folders:  # which grows: nothing recurses
            for name, is_folder in self._list(folder):
                inner = folder + b"/" + name
                n_entries += 1
                if is_folder:
                    folders.append(inner)
                    continue
                placed = placed_sent(self._tree, inner)
                if placed is None:
                    is_ours = False
                elif sent is None or placed.is_after(sent):
                    latest, sent = inner, placed
        return _Content(latest, sent, is_ours, folders, n_entries)

    def _list(self, folder: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield the names in a folder, and whether each is a folder."""
        with os.scandir(self._tree.open_folder(folder)) as entries:
            for entry in list(entries):
                yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)

    def _clear_folder(self, path: bytes, sent: Sent) -> None:
        content = self._search(path)
        if content.is_ours:
            for folder in reversed(content.folders):
                self._remove_files(folder, sent)
        if self._is_folder(path):
            self._move_away(path, "folder")

    def _clear_earlier(self, path: bytes, sent: Sent) -> None:
        """Remove from a folder what was sent before the file that was there for a while.

        When messages are read again, that has been put back in place. The effort is limited, as no message may
        hold up others.
        """
        if self._is_folder(path) and self._n_searchable > 0:
            content = self._search(path)
            self._n_searchable -= content.n_entries
            for folder in reversed(content.folders):
                self._remove_files(folder, sent)
            self._tree.close_folders()

    def _remove_files(self, folder: bytes, sent: Sent) -> None:
        """Remove a folder and the files in it, but for those that have been changed meanwhile."""
        for name, _ in self._list(folder):
            placed = placed_sent(self._tree, folder + b"/" + name)
            if placed is not None and not placed.is_after(sent):
                os.unlink(name, dir_fd=self._tree.open_folder(folder))
        self._tree.close_folders()
        parent_fd, name = self._parent(folder)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=parent_fd)

    # -- what is kept

    def _parent(self, path: bytes) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        return self._tree.open_folder(folder), name

    def _move_away(self, path: bytes, kind: str) -> None:
        """Move what is at `path` into LOGS, and say so."""
        parent_fd, name = self._parent(path)
        kept = keep_aside(self._parts_fd, parent_fd, name, name)
        other = "folder" if kind == "file" else "file"
        self._report(
            logging.WARNING,
            f"{printable(path)} is a {other} now: the {kind} that was there, not all of it downloaded, was moved "
            f"into LOGS, to {kept} in the folder of the incomplete files",
        )


def keep_aside(parts_fd: int, folder_fd: int, name: bytes, shown: bytes) -> str:
    """Move what is at `name` in an open folder into that of the parts; return where it is there, to be printed.

    Its new name ends with `shown`. Raises OSError.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(REPLACED, 0o755, dir_fd=parts_fd)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    target_fd = os.open(REPLACED, flags, dir_fd=parts_fd)
    try:
        kept = (os.urandom(4).hex().encode() + b"-" + shown)[:_MAX_NAME_BYTES]
        os.rename(name, kept, src_dir_fd=folder_fd, dst_dir_fd=target_fd)
    finally:
        os.close(target_fd)
    return f"{REPLACED}/{printable(kept)}"
