"""Where the files of a run may lie: staged, or in the place of this run or another one that was whole before."""

from __future__ import annotations

from collections.abc import Iterator

from dfud.core.manifest import Manifest
from dfud.core.version import FileVersion, folders_above
from dfud.downloading.runs.mark import Mark, layout_of
from dfud.downloading.runs.settings import BAG
from dfud.files.confined import ConfinedTree
from dfud.files.scan import join

_MAX_REMEMBERED = 100_000  # folders
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


class Places:
    """Responsible for where the files of runs lie that are in their places, in one directory."""

    def __init__(self, tree: ConfinedTree, topic: str) -> None:
        """Look at the folders of `tree`, the directory into which `topic` is downloaded."""
        self._tree = tree
        self._top = place_of_run(b"", topic)
        self._layouts: dict[bytes, str] = {}  # by path of a folder; "" if there is none
        self._is_top_run: bool | None = None  # the whole directory that was uploaded is in its place

    def forget(self) -> None:
        """Look anew."""
        self._layouts.clear()
        self._is_top_run = None

    def of(self, path: bytes) -> Iterator[bytes]:
        """Yield the paths at which the file with this path on the topic may lie."""
        is_itself = True  # not the path of another file of a bag, or of the whole directory
        for folder in folders_above(path):
            if self.layout_of(folder) == BAG:
                yield b"%s/%s%s" % (folder, PAYLOAD, path[len(folder) :])
                is_itself = is_itself and not path.startswith(b"%s/%s/" % (folder, PAYLOAD))
        if self.is_top_run:
            is_bag = self.layout_of(self._top) == BAG
            yield b"%s/%s/%s" % (self._top, PAYLOAD, path) if is_bag else b"%s/%s" % (self._top, path)
            is_itself = is_itself and not path.startswith(self._top + b"/")
        if is_itself:
            yield path

    def layout_of(self, folder: bytes) -> str:
        """Return the layout of a folder, which is `PLAIN` for one that is no run; "" if there is none."""
        layout = self._layouts.get(folder)
        if layout is None:
            if len(self._layouts) >= _MAX_REMEMBERED:
                self._layouts.clear()
            try:
                layout = layout_of(self._tree.open_folder(folder))
            except OSError:
                layout = ""
            self._layouts[folder] = layout
        return layout

    @property
    def is_top_run(self) -> bool:
        """Whether the directory that was uploaded, as a whole, is a run in its place."""
        if self._is_top_run is None:
            try:
                mark = Mark.read(self._tree.open_folder(self._top))
            except OSError:
                mark = None
            self._is_top_run = mark is not None and mark.is_of(b"")
        return self._is_top_run

    def may_have(self, folder: bytes) -> bool:
        """Return whether there is a folder at which files of this folder may lie."""
        return any(self.layout_of(place.rpartition(b"/")[0]) for place in self.of(join(folder, b"any")))


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
        self.places = Places(tree, topic)

    def close_folders(self) -> None:
        """Look anew at the folders that were opened."""
        self.places.forget()
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
        for path in self.places.of(version.path):
            if is_version(self.tree, path, version):
                yield path

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
