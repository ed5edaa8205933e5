"""Builds a run out of sight: a folder that has exactly what its manifest lists, every byte of it checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from typing import NamedTuple

import xxhash

from dfud import __version__
from dfud.core import bagit
from dfud.core.manifest import Manifest, metadata_text
from dfud.core.ro_crate import NAME as CRATE_NAME
from dfud.core.ro_crate import crate_text
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.downloading.runs.listed_files import PAYLOAD, ListedFiles, path_in_run
from dfud.downloading.runs.mark import mark_made
from dfud.downloading.runs.settings import BAG, RunSettings
from dfud.files.confined import ConfinedTree
from dfud.files.linking import link_or_copy, remove_tree

_BLOCK_BYTES = 1 << 20  # hashed at a time
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class MissingError(Exception):
    """A file of the run is not there, or not as the manifest has it."""

    def __init__(self, version: FileVersion, reason: str = "") -> None:
        super().__init__(reason)
        self.version = version
        self.reason = reason  # "" if it is not there


class ImpossibleError(Exception):
    """The run cannot have the layout that is wanted."""


class _Built(NamedTuple):
    path: bytes  # in the run
    version: FileVersion
    sha256: str


class RunBuilder:
    """Responsible for the folders in which runs are built: they hold nothing that is not elsewhere, too."""

    def __init__(self, building_fd: int, files: ListedFiles, settings: RunSettings) -> None:
        """Build in the folder that is open as `building_fd`, from `files`."""
        self._building = ConfinedTree(".", dir_fd=building_fd)
        self._files = files
        self._settings = settings

    def close(self) -> None:
        """Close what is open."""
        self._building.close()

    def remove(self, name: bytes) -> None:
        """Remove a folder that was built and is in no place, if there is one."""
        self._building.close_folders()
        with contextlib.suppress(FileNotFoundError):
            remove_tree(self._building, name)
        self._building.close_folders()

    def remove_all(self, end: bytes) -> None:
        """Remove all folders whose names end so; OSError."""
        for name in os.listdir(self._building.dir_fd):
            if os.fsencode(name).endswith(end):
                self.remove(os.fsencode(name))

    def build(self, manifest: Manifest, name: bytes) -> None:
        """Build a run in a new folder with this name.

        Raises MissingError, ImpossibleError or OSError, and leaves what it has made to `remove`.
        """
        is_bag = self._settings.layout == BAG
        if is_bag:
            _check_names(manifest)
        self.remove(name)
        os.mkdir(name, 0o700, dir_fd=self._building.dir_fd)
        folder_fd = os.open(name, _FOLDER, dir_fd=self._building.dir_fd)
        tree = ConfinedTree(".", dir_fd=folder_fd)
        try:
            self._fill(manifest, tree, is_bag)
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(folder_fd, 0o777 & ~umask)
        finally:
            tree.close()
            os.close(folder_fd)

    def _fill(self, manifest: Manifest, tree: ConfinedTree, is_bag: bool) -> None:
        root = PAYLOAD + b"/" if is_bag else b""
        with_sha256 = is_bag or self._settings.with_ro_crate
        head = manifest.head
        expected = ((file.version, file.xxh3_128, file.sha256) for file in manifest.files)
        built = []
        for version, xxh3_128, sha256 in (*expected, (head.marker, "", "")):
            path = path_in_run(version.path, head.run)
            digest = self._take(version, xxh3_128, sha256, tree, root + path, with_sha256)
            built.append(_Built(path, version, digest))
        if self._settings.with_ro_crate and all(each.path != CRATE_NAME for each in built):
            sha256 = _write(tree, root + CRATE_NAME, crate_text(manifest, built))
            built.append(_Built(CRATE_NAME, FileVersion(CRATE_NAME, _size(tree, root + CRATE_NAME), 0), sha256))
        if is_bag:
            _write_tags(manifest, tree, built)

    def _take(
        self,
        version: FileVersion,
        xxh3_128: str,
        sha256: str,
        tree: ConfinedTree,
        path: bytes,
        with_sha256: bool,
    ) -> str:
        """Put a version at `path` in `tree`; return its SHA-256, or "" if that is neither known nor wanted."""
        reason = ""
        for source, at in self._files.find(version):
            source_fd = source.open(at)  # which refuses a hard link to what its maker cannot read
            try:
                link_or_copy(source, at, tree, path)
                found = _digests(tree, path, version, source_fd, with_sha256 or bool(sha256))
            finally:
                os.close(source_fd)
            if found is not None and xxh3_128 in ("", found[0]) and sha256 in ("", found[1]):
                return found[1]
            reason = "its bytes are not those of the manifest"
            folder, _, name = path.rpartition(b"/")
            os.unlink(name, dir_fd=tree.open_folder(folder))
        raise MissingError(version, reason)


def _check_names(manifest: Manifest) -> None:
    for path in (*(file.path for file in manifest.files), manifest.head.marker.path):
        fault = bagit.name_fault(path)
        if fault:
            raise ImpossibleError(f"a bag cannot name {printable(path)}: {fault}; use --run_layout plain")


def _digests(
    tree: ConfinedTree, path: bytes, version: FileVersion, source_fd: int, with_sha256: bool
) -> tuple[str, str] | None:
    """Return XXH3 and SHA-256 of a file that was put at `path`.

    None if it is not the version, or not the file that is open as `source_fd`, or a copy of it.
    """
    descriptor = tree.open(path)
    try:
        status = os.fstat(descriptor)
        is_same = status.st_nlink == 1 or os.path.samestat(status, os.fstat(source_fd))
        if not is_same or (status.st_size, status.st_mtime_ns) != version[1:]:
            return None
        xxh3_128, sha256 = xxhash.xxh3_128(), hashlib.sha256()
        while data := os.read(descriptor, _BLOCK_BYTES):
            xxh3_128.update(data)
            if with_sha256:
                sha256.update(data)
    finally:
        os.close(descriptor)
    return xxh3_128.hexdigest(), sha256.hexdigest() if with_sha256 else ""


def _write(tree: ConfinedTree, path: bytes, texts: Iterable[bytes]) -> str:
    """Write a new file; return its SHA-256."""
    folder, _, name = path.rpartition(b"/")
    sha256 = hashlib.sha256()
    folder_fd = tree.open_folder(folder, make=True)
    with open(os.open(name, _NEW_FILE, 0o666, dir_fd=folder_fd), "wb") as file:
        mark_made(file.fileno())
        for text in texts:
            sha256.update(text)
            file.write(text)
    return sha256.hexdigest()


def _size(tree: ConfinedTree, path: bytes) -> int:
    status = tree.stat_file(path)
    return 0 if status is None else status.st_size


def _write_tags(manifest: Manifest, tree: ConfinedTree, built: list[_Built]) -> None:
    """Write the files that make a folder a bag."""
    head = manifest.head
    fields = [
        ("Bagging-Date", head.time[:10]),
        ("Payload-Oxum", f"{sum(each.version.size for each in built)}.{len(built)}"),
        ("Bag-Software-Agent", f"dfud {__version__}"),
        ("Internal-Sender-Identifier", printable(head.run) or "."),
        ("Dfud-Host", head.host),
        ("Dfud-Topic", head.topic),
        ("Dfud-Manifest", manifest.id),
    ]
    if manifest.metadata is not None:
        fields.append(("Dfud-Metadata", metadata_text(manifest.metadata).decode()))
    lines = (bagit.manifest_line(each.sha256, PAYLOAD + b"/" + each.path) for each in built)
    written = {
        bagit.DECLARATION_NAME: [bagit.DECLARATION],
        bagit.INFO_NAME: [bagit.info_text(fields)],
        bagit.MANIFEST_NAME: lines,
    }
    tags = [(_write(tree, name.encode(), texts), name.encode()) for name, texts in written.items()]
    _write(tree, bagit.TAG_MANIFEST_NAME.encode(), (bagit.manifest_line(*tag) for tag in tags))
