"""Moving files to another directory: by a new name, or, on another file system, by a copy that is compared."""

from __future__ import annotations

import contextlib
import errno
import os

from dfud.core.version import FileVersion
from dfud.files.atomic import create_beside
from dfud.files.confined import ConfinedTree
from dfud.files.renames import rename_to_new
from dfud.releasing.content import digest_of
from dfud.releasing.source_file import REPLACED, FailedError, SourceFile, StaysError

_BLOCK_BYTES = 1 << 20


class Destination:
    """A directory that files are moved to, each to its path below it. Nothing there is replaced."""

    def __init__(self, directory: str) -> None:
        """Open the directory; OSError if that fails."""
        self.directory = directory
        self._tree = ConfinedTree(directory)

    def close(self) -> None:
        """Close the directory."""
        self._tree.close()

    @property
    def device(self) -> int:
        """The number of its file system."""
        return os.fstat(self._tree.dir_fd).st_dev

    def dispose(self, source: SourceFile, private: bytes, version: FileVersion, digest: bytes) -> None:
        """Move a file that has its private name to its path here; StaysError or OSError if it has to stay."""
        folder, _, name = version.path.rpartition(b"/")
        self._tree.close_folders()
        folder_fd = self._tree.open_folder(folder, make=True)
        try:
            rename_to_new(source.folder_fd, private, folder_fd, name)
        except FileExistsError:
            self._check_existing(folder_fd, name, version, digest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, folder_fd, name, version, digest)
        else:
            _check_arrived(source, private, folder_fd, name)
            return
        source.check_renamed(private)  # copying takes its time
        os.unlink(private, dir_fd=source.folder_fd)

    def clean(self, version: FileVersion) -> None:
        """Remove what a crash has left of copies of a file."""
        folder = version.path.rpartition(b"/")[0]
        begin = f".{_temporary(version)}."
        with contextlib.suppress(OSError):
            folder_fd = self._tree.open_folder(folder)
            for each in os.listdir(folder_fd):
                if each.startswith(begin) and each.endswith(".tmp"):
                    os.unlink(each, dir_fd=folder_fd)

    def _copy(self, source: SourceFile, folder_fd: int, name: bytes, version: FileVersion, digest: bytes) -> None:
        """Copy a file, durably, and compare the copy; its name is new, or FailedError is raised."""
        descriptor, temporary = create_beside(folder_fd, _temporary(version), os.O_RDWR)
        try:
            with open(descriptor, "r+b", buffering=0) as copy:
                _copy_bytes(source, descriptor)
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # so that it is read from the disk
                if os.fstat(descriptor).st_size != version.size or digest_of(copy.fileno()) != digest:
                    raise FailedError("its copy has other bytes than its row and its receipts")
            try:
                rename_to_new(folder_fd, os.fsencode(temporary), folder_fd, name)
            except FileExistsError:
                self._check_existing(folder_fd, name, version, digest)
                os.unlink(temporary, dir_fd=folder_fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder_fd)
            raise
        os.fsync(folder_fd)

    def _check_existing(self, folder_fd: int, name: bytes, version: FileVersion, digest: bytes) -> None:
        """Raise FailedError unless the file that is there is the one that is to be moved, on the disk."""
        descriptor = self._tree.open(version.path)
        try:
            if os.fstat(descriptor).st_size != version.size or digest_of(descriptor) != digest:
                raise FailedError(f"there is another file of this path in {self.directory}")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_arrived(source: SourceFile, private: bytes, folder_fd: int, name: bytes) -> None:
    """Take back what was moved, and raise StaysError, if it is not the file: in its folder others may rename."""
    if not os.path.samestat(os.fstat(source.descriptor), os.stat(name, dir_fd=folder_fd, follow_symlinks=False)):
        rename_to_new(folder_fd, name, source.folder_fd, private)
        raise StaysError(REPLACED)


def _copy_bytes(source: SourceFile, descriptor: int) -> None:
    """Copy bytes, mode, times and, as far as possible, owner."""
    status = source.status
    offset = 0
    while block := os.pread(source.descriptor, _BLOCK_BYTES, offset):
        view = memoryview(block)
        while view:
            view = view[os.write(descriptor, view) :]
        offset += len(block)
    with contextlib.suppress(OSError):  # only root may give files away
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o777)
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _temporary(version: FileVersion) -> str:
    return f"dfud-moving.{version.upload_id().decode()}"
