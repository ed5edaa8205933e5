"""After a crash: what became of the files that were about to be removed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from dfud.core.released import KEPT, RELEASED, ReleasedRow
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.files.birth import birth_ns
from dfud.files.confined import ConfinedTree
from dfud.files.scan import ScannedFile, join
from dfud.logs.completed.merging import parse_time
from dfud.releasing.destination import Destination
from dfud.releasing.removal import Deletion, Disposal, private_name, put_back
from dfud.releasing.source_file import StaysError, open_source
from dfud.watch.file_systems import Traits
from dfud.watch.leases import WriteLeases

_TICK_S = 0.001  # the time in a row is rounded to that
Say = Callable[[str], None]


class Recovery:
    """Gives each file that has its private name still its own one back, and says what is true of the others.

    Only a file whose place was taken since, and whose bytes are those that were recorded, is removed after all.
    """

    def __init__(
        self, tree: ConfinedTree, leases: WriteLeases, traits: Callable[[bytes, int], Traits], say: Say
    ) -> None:
        """`say` is called with what the user has to know."""
        self._tree = tree
        self._leases = leases
        self._traits = traits
        self._say = say

    def resolve(self, rows: Iterable[ReleasedRow]) -> Iterator[ReleasedRow]:
        """Yield each of the open rows with what became of its file; unchanged if that cannot be known."""
        for row in rows:
            try:
                with contextlib.ExitStack() as opened:
                    disposal: Disposal | None = Deletion()
                    if row.moved_to:
                        disposal = _reopened(row, opened)
                    yield row._replace(state=self._resolve(row, row.version, disposal))
            except OSError as error:
                self._say(f"{printable(row.version.path)}: cannot get its name back: {error.strerror}")
                yield row

    def _resolve(self, row: ReleasedRow, version: FileVersion, disposal: Disposal | None) -> str:
        folder, _, name = version.path.rpartition(b"/")
        try:
            folder_fd = self._tree.open_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            return RELEASED
        private = private_name(version)
        present = _status(folder_fd, name)
        aside = _status(folder_fd, private)
        if aside is None:
            return KEPT if present is not None and _is_recorded(folder_fd, name, present, row) else RELEASED
        if present is not None and disposal is not None and self._has_finished(row, aside, disposal):
            return RELEASED
        where = put_back(folder_fd, private, name)
        self._say(f"{printable(version.path)}: put back after a release that was interrupted{where}")
        return KEPT

    def _has_finished(self, row: ReleasedRow, status: os.stat_result, disposal: Disposal) -> bool:
        """Remove a file that has its private name, if it is unchanged; return whether that was done."""
        version = row.version
        private = private_name(version)
        path = join(version.path.rpartition(b"/")[0], private)
        file = ScannedFile(version._replace(path=path), status.st_ctime_ns, status.st_ino, status.st_dev)
        digest = bytes.fromhex(row.xxh3_128)
        try:
            source = open_source(self._tree, file, self._leases, self._traits)
        except StaysError:
            return False
        try:
            source.check_content(digest)
            source.check_renamed(private)
            disposal.dispose(source, private, version, digest)
        except (StaysError, OSError):
            return False
        finally:
            source.close()
        return True


def _reopened(row: ReleasedRow, opened: contextlib.ExitStack) -> Destination | None:
    """Return the directory that a file was moved to, less what a crash has left there; None if it is gone."""
    try:
        destination = opened.enter_context(contextlib.closing(Destination(row.moved_to)))
    except OSError:
        return None
    destination.clean(row.version)
    return destination


def _status(folder_fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_recorded(folder_fd: int, name: bytes, status: os.stat_result, row: ReleasedRow) -> bool:
    """Return whether the file at a path is the one that was recorded, be it rewritten since.

    The number of its inode may be that of one that was deleted; then the file was made after the row.
    """
    if not stat.S_ISREG(status.st_mode) or status.st_ino != row.inode:
        return False
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    except FileNotFoundError:
        return False
    try:
        return birth_ns(descriptor) / 1e9 <= parse_time(row.time) + _TICK_S
    finally:
        os.close(descriptor)
