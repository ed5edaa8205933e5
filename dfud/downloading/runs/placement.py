"""Putting a run that was built in its place, by one rename, and clearing up what it replaces."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator

from dfud.core import bagit
from dfud.core.manifest import Manifest
from dfud.core.names import LOGS
from dfud.core.sent import Sent
from dfud.core.text import printable
from dfud.downloading.obstacles import keep_aside
from dfud.downloading.placed import placed_sent
from dfud.downloading.runs.listed_files import PAYLOAD, ListedFiles, path_in_run, place_of_run, versions
from dfud.downloading.runs.mark import Mark, is_made, layout_of, short_name
from dfud.downloading.runs.settings import BAG
from dfud.downloading.supervisor_link import Report
from dfud.files.confined import ConfinedTree
from dfud.files.renames import exchange
from dfud.files.scan import join
from dfud.files.sync import FileSystemSync

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
NEW, _READY, _OLD = b".new", b".ready", b".old"  # ends of names in the folder where runs are built


def _name(run: bytes) -> bytes:
    """Return how the names of all folders begin that are about a run."""
    return short_name(run).encode()


class RunPlacement:
    """Responsible for the places of runs in the directory.

    A run is built in `<name>.new`, which holds nothing that is not elsewhere, too. `<name>.ready` is complete, and
    is renamed to its place or exchanged with what is there, which then has that name. Only where the file system
    cannot exchange, that is renamed to `<name>.old` before. Whatever a kill leaves, the manifest is still stored,
    and the next look at it goes on from there.
    """

    def __init__(self, parts_fd: int, building_fd: int, files: ListedFiles, layout: str, report: Report) -> None:
        """Put runs with this `layout` in their places, from the folder that is open as `building_fd`.

        What must not be deleted goes into that of the parts.
        """
        self._parts_fd = parts_fd
        self._building_fd = building_fd
        self._files = files
        self._tree = files.tree
        self._layout = layout
        self._report = report
        self._sync = FileSystemSync(building_fd)

    def new_name(self, run: bytes) -> bytes:
        """Return the name of the folder in which a run is to be built."""
        return _name(run) + NEW

    # -- what is there

    def is_current(self, manifest: Manifest, sent: Sent) -> bool:
        """Return whether the place of a run has it already, or what was sealed later."""
        mark = self._mark(manifest)
        if mark is None:
            return self._files.is_in_place(manifest)
        if not mark.is_of(manifest.head.run):
            return False
        return mark.id == manifest.id or mark.sent.is_after(sent)

    def unplaced_name(self, manifest: Manifest) -> bytes:
        """Return the name of a folder that was built before and can be removed, if there is one.

        What a run has replaced may have this name, too, if a kill came between; that is moved aside. OSError.
        """
        name = _name(manifest.head.run) + _READY
        try:
            folder_fd = os.open(name, _FOLDER, dir_fd=self._building_fd)
        except FileNotFoundError:
            return name
        try:
            built = Mark.read(folder_fd)
        finally:
            os.close(folder_fd)
        placed = self._mark(manifest)
        if built is None or (placed is not None and not built.sent.is_after(placed.sent)):
            self._keep(manifest, name)
        return name

    def _mark(self, manifest: Manifest) -> Mark | None:
        try:
            return Mark.read(self._tree.open_folder(self._place(manifest)))
        except OSError:
            return None

    def _place(self, manifest: Manifest) -> bytes:
        return place_of_run(manifest.head.run, self._files.topic)

    # -- the rename

    def place(self, manifest: Manifest, sent: Sent, built: bytes) -> None:
        """Put a run that was built in the folder `built` in its place; OSError if that is not possible."""
        place = self._place(manifest)
        folder, _, name = place.rpartition(b"/")
        self._tree.close_folders()
        self._tree.open_folder(folder, make=True)
        if not folder:
            self._refuse_logs(name)
        mark, own = self._mark(manifest), Mark.of(manifest, self._layout, sent)
        if mark is not None and not mark.is_of(manifest.head.run):
            raise FileExistsError(errno.EEXIST, f"another run is at {printable(place)}")
        parent_fd = self._tree.open_folder(folder)
        ready, old = _name(manifest.head.run) + _READY, _name(manifest.head.run) + _OLD
        built_fd = os.open(built, _FOLDER, dir_fd=self._building_fd)
        try:
            own.write(built_fd)
        finally:
            os.close(built_fd)
        self._sync()
        os.rename(built, ready, src_dir_fd=self._building_fd, dst_dir_fd=self._building_fd)
        try:
            os.rename(ready, name, src_dir_fd=self._building_fd, dst_dir_fd=parent_fd)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            if not exchange(self._building_fd, ready, parent_fd, name):
                os.rename(name, old, src_dir_fd=parent_fd, dst_dir_fd=self._building_fd)
                os.rename(ready, name, src_dir_fd=self._building_fd, dst_dir_fd=parent_fd)
        self._files.close_folders()
        self._sync()

    def _refuse_logs(self, name: bytes) -> None:
        """Raise PermissionError if `name` is LOGS, in any spelling that the file system allows."""
        with contextlib.suppress(FileNotFoundError):
            logs = os.stat(LOGS, dir_fd=self._tree.dir_fd)
            if os.path.samestat(logs, os.stat(name, dir_fd=self._tree.dir_fd, follow_symlinks=False)):
                raise PermissionError(errno.EPERM, "that is LOGS")

    def restore(self, manifest: Manifest) -> None:
        """Put back what a kill between two renames has left without its place; OSError."""
        folder, _, name = self._place(manifest).rpartition(b"/")
        old = _name(manifest.head.run) + _OLD
        with contextlib.suppress(FileNotFoundError):
            os.stat(old, dir_fd=self._building_fd, follow_symlinks=False)
            parent_fd = self._tree.open_folder(folder)
            try:
                os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            except FileNotFoundError:
                os.rename(old, name, src_dir_fd=self._building_fd, dst_dir_fd=parent_fd)

    # -- what was replaced

    def clear(self, manifest: Manifest) -> None:
        """Remove what a run that is in its place has replaced; move aside what that cannot be; OSError."""
        for name in (_name(manifest.head.run) + end for end in (_READY, _OLD)):
            try:
                folder_fd = os.open(name, _FOLDER, dir_fd=self._building_fd)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                self._keep(manifest, name)  # a file, or a link
                continue
            old = ConfinedTree(".", dir_fd=folder_fd)
            try:
                _Clearing(self._files, manifest, self._place(manifest)).clear(old)
            finally:
                old.close()
                os.close(folder_fd)
            try:
                os.rmdir(name, dir_fd=self._building_fd)
            except OSError:
                self._keep(manifest, name)

    def _keep(self, manifest: Manifest, name: bytes) -> None:
        place = self._place(manifest)
        shown = place.rpartition(b"/")[2]
        kept = keep_aside(self._parts_fd, self._building_fd, name, shown)
        self._report(
            logging.WARNING,
            f"run {printable(place)} has replaced files that are not of it: they were moved into LOGS, to {kept} "
            "in the folder of the incomplete files",
        )


def _is_made(tree: ConfinedTree, path: bytes) -> bool:
    """Return whether a file was made here, such as the metadata of a crate."""
    try:
        descriptor = tree.open(path)
    except OSError:
        return False
    try:
        return is_made(descriptor)
    finally:
        os.close(descriptor)


class _Clearing:
    """Removes from a folder what a run in its place has in the same version, or in a later one."""

    def __init__(self, files: ListedFiles, manifest: Manifest, place: bytes) -> None:
        self._tree = files.tree
        run = manifest.head.run
        self._listed = {path_in_run(version.path, run) for version in versions(manifest)}
        is_bag = layout_of(self._tree.open_folder(place)) == BAG
        self._root = b"%s/%s/" % (place, PAYLOAD) if is_bag else place + b"/"

    def clear(self, old: ConfinedTree) -> None:
        """Remove what can be, and the folders that are empty then."""
        folders = [(b"", b"")]  # path in `old`, and path in the run: a bag has its files in one more folder
        for folder, inner in folders:  # which grows: nothing recurses
            is_bag = layout_of(old.open_folder(folder)) == BAG
            for name, is_folder in list(self._list(old, folder)):
                path, inner_path = join(folder, name), join(inner, name)
                if is_folder:
                    folders.append((path, inner if is_bag and name == PAYLOAD else inner_path))
                elif (is_bag and os.fsdecode(name) in bagit.TAG_FILES) or self._is_needless(old, path, inner_path):
                    os.unlink(name, dir_fd=old.open_folder(folder))
        for folder, _ in reversed(folders[1:]):
            parent, _, name = folder.rpartition(b"/")
            old.close_folders()
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=old.open_folder(parent))

    @staticmethod
    def _list(tree: ConfinedTree, folder: bytes) -> Iterator[tuple[bytes, bool]]:
        with os.scandir(tree.open_folder(folder)) as entries:
            for entry in list(entries):
                yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)

    def _is_needless(self, old: ConfinedTree, path: bytes, inner: bytes) -> bool:
        if inner not in self._listed:
            return _is_made(old, path)
        status, present = old.stat_file(path), self._tree.stat_file(self._root + inner)
        if status is None or present is None:
            return False
        if os.path.samestat(status, present):
            return True
        was_sent, is_sent = placed_sent(old, path), placed_sent(self._tree, self._root + inner)
        return was_sent is not None and (is_sent is None or not was_sent.is_after(is_sent))
