"""Where the files of a run may lie: staged, or in the place of this run or another one that was whole before."""

from __future__ import annotations

from collections.abc import Iterator

from dfud.core.manifest import Manifest
from dfud.core.version import FileVersion, folders_above
from dfud.files.confined import ConfinedTree
from dfud.files.scan import join

PAYLOAD = b"data"  # the folder of a bag in which its files are


def place_of_run(run: bytes, topic: str) -> bytes:
    """Return the path below the directory at which a run is put.

    The directory itself cannot be: it is the user's, and LOGS lies in it.

    >>> place_of_run(b"a/run7", "scans"), place_of_run(b"", "scans")
    (b'a/run7', b'scans')
    """
    return run or topic.encode()


def versions(manifest: Manifest) -> Iterator[FileVersion]:
    """Yield all that a run consists of: its files, in the order of their paths, and then its marker."""
    for file in manifest.files:
        yield file.version
    yield manifest.head.marker


def places(path: bytes, topic: str) -> Iterator[bytes]:
    """Yield the paths at which a file lies if it belongs to a run that is in its place, as a bag or plain."""
    yield path
    for folder in folders_above(path):
        yield b"%s/%s%s" % (folder, PAYLOAD, path[len(folder) :])
    top = place_of_run(b"", topic)
    yield b"%s/%s" % (top, path)
    yield b"%s/%s/%s" % (top, PAYLOAD, path)


def path_in_run(path: bytes, run: bytes) -> bytes:
    """Return the path of a file of a run, relative to the folder of the run."""
    return path[len(run) + 1 :] if run else path


class ListedFiles:
    """Responsible for finding the version of a file that a manifest lists."""

    def __init__(self, staged: ConfinedTree, tree: ConfinedTree, topic: str) -> None:
        """Look among the files of `topic` that are `staged`, and then in `tree`, the directory itself."""
        self.staged = staged
        self.tree = tree
        self.topic = topic

    def close_folders(self) -> None:
        """Look anew at the folders that were opened."""
        self.staged.close_folders()
        self.tree.close_folders()

    def find(self, version: FileVersion) -> Iterator[tuple[ConfinedTree, bytes]]:
        """Yield where there is a file of this size and modification time; its bytes are not looked at."""
        if is_version(self.staged, version.path, version):
            yield self.staged, version.path
        for path in self.find_placed(version):
            yield self.tree, path

    def find_placed(self, version: FileVersion) -> Iterator[bytes]:
        """Yield the paths in the directory at which `find` finds a file."""
        for path in places(version.path, self.topic):
            if is_version(self.tree, path, version):
                yield path

    def may_be_placed(self, folder: bytes) -> bool:
        """Return whether `find_placed` may find a file of this folder."""
        return any(self._has_folder(path.rpartition(b"/")[0]) for path in places(join(folder, b"any"), self.topic))

    def _has_folder(self, path: bytes) -> bool:
        try:
            self.tree.open_folder(path)
        except OSError:
            return False
        return True

    def has(self, version: FileVersion) -> bool:
        """Return whether `find` yields anything."""
        return next(self.find(version), None) is not None

    def describe_missing(self, version: FileVersion) -> str:
        """Return what is to be said of a version that was not found, after its path."""
        return "" if self.staged.stat_file(version.path) is None else " (another version of it was sent last)"

    def is_in_place(self, manifest: Manifest) -> bool:
        """Return whether all of a run is in its place, as far as sizes and times tell."""
        place = place_of_run(manifest.head.run, self.topic)
        roots = (place + b"/", b"%s/%s/" % (place, PAYLOAD))
        return any(self._has_all(root, manifest) for root in roots)

    def _has_all(self, root: bytes, manifest: Manifest) -> bool:
        run = manifest.head.run
        return all(
            is_version(self.tree, root + path_in_run(version.path, run), version) for version in versions(manifest)
        )


def is_version(tree: ConfinedTree, path: bytes, version: FileVersion) -> bool:
    """Return whether the file at `path` has the size and the modification time of a version."""
    status = tree.stat_file(path)
    return status is not None and (status.st_size, status.st_mtime_ns) == version[1:]
