"""A file that is written for other programs, in LOGS or outside of the directory: where it may be, and how."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from dfud.errors import UsageError
from dfud.files.atomic import create_beside, replace_file
from dfud.logs.layout import LogsFolder


class ReplacedFile:
    """Responsible for a file that is replaced as a whole; no link in its place is followed.

    A power cut may leave it empty: it says how things are now, and would say nothing that is still so.
    """

    def __init__(self, path: str, logs: LogsFolder | None = None) -> None:
        """Use `path`, which is in `logs` or not in the directory that is uploaded; nothing is written yet.

        Without `logs`, nothing is uploaded.
        """
        self._logs = logs
        folder, self.name = os.path.split(os.path.abspath(path))
        self._folder = os.path.realpath(folder)
        self.path = os.path.join(self._folder, self.name)
        self._in_logs = logs if logs is not None and self._folder == os.path.realpath(logs.path) else None

    def check(self, option: str) -> None:
        """Raise UsageError if the file, which `option` names, cannot be written, or would be uploaded."""
        if self._in_logs is not None:
            return
        if self._logs is not None:
            top = os.path.realpath(self._logs.directory)
            if os.path.commonpath([top, self._folder]) == top:
                raise UsageError(
                    f"{option} {self.path} lies in the directory that is uploaded; choose another folder, "
                    f"or {self._logs.path}"
                )
        try:
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                raise IsADirectoryError(0, "it is a folder")
            with _opened(self._folder) as dir_fd:
                descriptor, temporary = create_beside(dir_fd, self.name, os.O_WRONLY)
                os.close(descriptor)
                os.unlink(temporary, dir_fd=dir_fd)
        except OSError as error:
            raise UsageError(
                f"cannot write {option} {self.path}: {error.strerror}; its folder must exist, and dfud must be "
                "able to write into it"
            ) from None

    def replace(self, parts: Iterable[bytes]) -> None:
        """Write the file; after an OSError it is the old one or the new one."""
        if self._in_logs is not None:
            self._in_logs.replace(self.path, parts, durable=False)
        else:
            with _opened(self._folder) as dir_fd:
                replace_file(dir_fd, self.name, parts, durable=False)


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Open the folder for a while, and return its descriptor."""
    dir_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield dir_fd
    finally:
        os.close(dir_fd)
