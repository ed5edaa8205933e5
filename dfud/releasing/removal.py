"""Removing one file: POSIX cannot unlink a file only if it is unchanged, so it gets a private name first.

The name is in the file's own folder: no other place has the same file system, quota and rights for sure. Once the
file has it, whoever writes to its path makes another file. What was changed until then gets its name back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from dfud.core.names import RELEASING
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.files.renames import rename_aside, rename_to_new
from dfud.releasing.source_file import FailedError, SourceFile, StaysError

_KEPT = b".dfud-kept"  # is added to the name of a file whose place was taken meanwhile
_MAX_NAME_BYTES = 255
_MAX_ATTEMPTS = 100  # to find a name that is free


class StuckError(FailedError):
    """A file had to stay, and has its private name still; the text says so."""


class Disposal(Protocol):
    """What is done to a file that has its private name."""

    def dispose(self, source: SourceFile, private: bytes, version: FileVersion, digest: bytes) -> None:
        """Remove the file from its folder; StaysError or OSError if it has to stay."""


class Deletion:
    """Deletes files."""

    def dispose(self, source: SourceFile, private: bytes, version: FileVersion, digest: bytes) -> None:
        """Delete a file that has its private name; OSError if that fails."""
        os.unlink(private, dir_fd=source.folder_fd)


def private_name(version: FileVersion) -> bytes:
    """Return the name that a file has while it is removed."""
    return RELEASING + version.upload_id()


class FileAside:
    """Responsible for a file, open as `source`, from the moment in which it has its private name."""

    def __init__(self, source: SourceFile, version: FileVersion, digest: bytes) -> None:
        """Give the file its private name; FailedError if that is impossible. `source` stays the caller's."""
        self._source = source
        self._version = version
        self._digest = digest
        self._private = private_name(version)
        with _explained():
            rename_aside(source.folder_fd, source.name, self._private)

    def finish(self, disposal: Disposal) -> None:
        """Remove the file; StaysError if it has to stay, which is then at its path again.

        StuckError if it still has its private name.
        """
        try:
            with _explained():
                self._source.check_renamed(self._private)
                disposal.dispose(self._source, self._private, self._version, self._digest)
        except StaysError as error:
            try:
                where = put_back(self._source.folder_fd, self._private, self._source.name)
            except OSError as other:
                raise StuckError(
                    f"{error}; it cannot get its name back ({other.strerror}): it is called "
                    f"{printable(self._private)} until the next run, which tries again"
                ) from None
            raise type(error)(f"{error}{where}") from None


def put_back(folder_fd: int, private: bytes, name: bytes) -> str:
    """Give a file its name back, and replace nothing; return "", or what to tell of where it is now.

    Raises OSError if that is impossible: then it has its private name still.
    """
    try:
        rename_to_new(folder_fd, private, folder_fd, name)
    except FileExistsError:
        other = _free_name(folder_fd, private, name)
        return f"; another file has taken its place, so it is now called {printable(other)}"
    return ""


def _free_name(folder_fd: int, private: bytes, name: bytes) -> bytes:
    """Give a file a name like the one it had; return that."""
    for number in range(_MAX_ATTEMPTS):
        ending = _KEPT + (b"-%d" % number if number else b"")
        other = name[: _MAX_NAME_BYTES - len(ending)] + ending
        with contextlib.suppress(FileExistsError):
            rename_to_new(folder_fd, private, folder_fd, other)
            return other
    raise FileExistsError(f"files like {printable(other)} are in the way")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Let an OSError, too, say why a file stays."""
    try:
        yield
    except OSError as error:
        raise FailedError(error.strerror or str(error)) from None
