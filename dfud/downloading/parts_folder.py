"""The folder of parts in LOGS.

``LOGS/download_from_T`` holds two files for each part: ``<identity>.<fetcher>.<number>.part``, a sparse file with
every chunk at its offset, and ``<identity>.<fetcher>.<number>.json``, its metadata. The metadata lists only bytes
that were on disk before it was published. As no name is used twice, metadata that a crash left behind cannot be
mistaken for that of another part.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.files.open_folder import open_regular

PART_SUFFIX, METADATA_SUFFIX = ".part", ".json"
_NEW_METADATA_SUFFIX = ".new"
_MAX_METADATA_BYTES = 1 << 28  # somebody may have made a file to fill memory


class PartsFolder:
    """Responsible for the files of one topic's parts; every file in the folder belongs to dfud."""

    def __init__(self, dir_fd: int, keeps_placed: bool = False) -> None:
        """Use the folder that is open as `dir_fd`, which stays the caller's.

        `keeps_placed` says that the metadata of a part that was put in place is no leftover: a receipt is owed.
        """
        self.dir_fd = dir_fd
        self.keeps_placed = keeps_placed

    @property
    def is_removed(self) -> bool:
        """Whether somebody has removed the folder, with all that it held."""
        return os.fstat(self.dir_fd).st_nlink == 0

    # -- the bytes of a part

    def create(self, name: PartName) -> int:
        """Create the file of a new part; return its descriptor, open for reading and writing."""
        return self._open(name, PART_SUFFIX, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def open(self, name: PartName) -> int:
        """Return the descriptor of a part's file, open for reading and writing."""
        return self._open(name, PART_SUFFIX, os.O_RDWR)

    def has(self, name: PartName) -> bool:
        """Return whether the file of a part exists."""
        try:
            os.stat(f"{name}{PART_SUFFIX}", dir_fd=self.dir_fd)
        except OSError:
            return False
        return True

    def remove(self, name: PartName) -> None:
        """Remove both files of a part, as far as they exist."""
        self.remove_metadata(name)
        self._unlink(f"{name}{PART_SUFFIX}")

    def remove_repeated(self, name: PartName) -> None:
        """Remove a part whose version may be in place, but not its metadata if a receipt may be owed of that."""
        if not self.keeps_placed:
            self.remove_metadata(name)
        self._unlink(f"{name}{PART_SUFFIX}")

    # -- its metadata

    def write_metadata(self, name: PartName, text: bytes) -> None:
        """Write new metadata beside what is in force; `publish_metadata` replaces that, after a sync."""
        self._unlink(f"{name}{_NEW_METADATA_SUFFIX}")
        descriptor = self._open(name, _NEW_METADATA_SUFFIX, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(descriptor, "wb") as file:
            file.write(text)

    def publish_metadata(self, name: PartName) -> None:
        """Put what `write_metadata` has written in force."""
        self._rename(f"{name}{_NEW_METADATA_SUFFIX}", f"{name}{METADATA_SUFFIX}")

    def read_metadata(self, name: PartName) -> PartMetadata:
        """Return a part's metadata; OSError or ValueError if it cannot be read."""
        with open(self._open(name, METADATA_SUFFIX, os.O_RDONLY), "rb") as file:
            return PartMetadata.from_json(file.read(_MAX_METADATA_BYTES))

    def remove_metadata(self, name: PartName) -> None:
        """Remove a part's metadata if it exists."""
        self._unlink(f"{name}{METADATA_SUFFIX}")

    # -- all parts

    def list_parts(self) -> Iterator[tuple[PartName, PartMetadata]]:
        """Yield the parts that have metadata; skip those whose metadata cannot be read."""
        return self._list(is_placed=False)

    def list_placed(self) -> Iterator[tuple[PartName, PartMetadata]]:
        """Yield parts that were put in place and have metadata still."""
        return self._list(is_placed=True)

    def _list(self, is_placed: bool) -> Iterator[tuple[PartName, PartMetadata]]:
        names = set(os.listdir(self.dir_fd))
        for text in names:
            stem, suffix = os.path.splitext(text)
            name = PartName.parse(stem)
            if name is None or suffix != METADATA_SUFFIX:
                continue
            if (self.keeps_placed and stem + PART_SUFFIX not in names) != is_placed:
                continue
            with contextlib.suppress(OSError, ValueError):
                yield name, self.read_metadata(name)

    def remove_leftovers(self) -> None:
        """Remove what a crash left behind: parts without metadata, metadata without a part, unpublished metadata.

        The chunks of a part without metadata will be read again: no offset after them was committed.
        """
        names = set(os.listdir(self.dir_fd))
        for text in names:
            stem, suffix = os.path.splitext(text)
            needed = {PART_SUFFIX: METADATA_SUFFIX, METADATA_SUFFIX: PART_SUFFIX, _NEW_METADATA_SUFFIX: ""}.get(
                suffix
            )
            if suffix == METADATA_SUFFIX and self.keeps_placed:
                continue
            if needed is not None and PartName.parse(stem) and (not needed or stem + needed not in names):
                self._unlink(text)

    def reassign(self, n_fetchers: int) -> None:
        """Give parts of fetchers with numbers that no longer exist to those that do, `n_fetchers` in all."""
        for text in os.listdir(self.dir_fd):
            stem, suffix = os.path.splitext(text)
            name = PartName.parse(stem)
            if name is not None and name.fetcher >= n_fetchers and suffix == METADATA_SUFFIX:
                renamed = name._replace(fetcher=name.fetcher % n_fetchers)
                # A crash may have interrupted this before: each step may have been done already.
                with contextlib.suppress(FileExistsError):
                    os.link(
                        f"{name}{METADATA_SUFFIX}",
                        f"{renamed}{METADATA_SUFFIX}",
                        src_dir_fd=self.dir_fd,
                        dst_dir_fd=self.dir_fd,
                        follow_symlinks=False,
                    )
                with contextlib.suppress(FileNotFoundError):
                    self._rename(f"{name}{PART_SUFFIX}", f"{renamed}{PART_SUFFIX}")
                self._unlink(f"{name}{METADATA_SUFFIX}")

    def _open(self, name: PartName, suffix: str, flags: int) -> int:
        return open_regular(f"{name}{suffix}", flags, self.dir_fd)

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.dir_fd)
