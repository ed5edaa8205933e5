"""Writing to a disk that may be full for a while."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from dfud.downloading.supervisor_link import Report
from dfud.files.sync import begin_writing

_COPY_BYTES = 1 << 20
_MIN_WRITEBACK_BYTES = 1 << 18  # smaller writes are merged by the kernel when it writes them back on its own
# No fault of any one file: the disk is full or broken, or the process is short of something. Worth retrying.
_TRANSIENT = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)

T = TypeVar("T")


class Disk:
    """Responsible for retrying what the disk refuses."""

    def __init__(self, wait: Callable[[OSError], None]) -> None:
        """`wait(error)` returns when it is time to retry, or raises to give up."""
        self._wait = wait
        self.before_wait: Callable[[OSError], bool] = lambda error: False  # returns whether that has helped

    def retry(self, call: Callable[[], T]) -> T:
        """Call until that succeeds; OSError for what waiting does not cure."""
        while True:
            try:
                return call()
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                if not self.before_wait(error):
                    self._wait(error)

    def write(self, descriptor: int, chunks: Sequence[bytes], offset: int) -> None:
        """Write all of `chunks`, one after another; OSError for what waiting does not cure.

        After larger writes the kernel is asked to start writeback. Otherwise the disk would be idle until the next
        sync (benchmarks, question `reading`: a quarter of the total time).
        """
        length = sum(map(len, chunks))
        written = self.retry(lambda: os.pwritev(descriptor, chunks, offset))
        if written < length:  # the disk filled up during the write
            data = b"".join(chunks)
            while written < length:
                start = written
                written += self.retry(lambda: os.pwrite(descriptor, data[start:], offset + start))  # noqa: B023
        if length >= _MIN_WRITEBACK_BYTES:
            begin_writing(descriptor, offset, length)

    def copy(self, source: int, target: int, offset: int, length: int) -> None:
        """Copy a range of bytes to the same offset of another file, as far as the source has them."""
        end = offset + length
        while offset < end:
            data = os.pread(source, min(_COPY_BYTES, end - offset), offset)
            if not data:
                return
            self.write(target, [data], offset)
            offset += len(data)


class DiskReporter:
    """Reports when the disk fails, each reason once, and when it works again."""

    def __init__(self, directory: str, report: Report) -> None:
        self._directory = directory
        self._report = report
        self._reason = ""  # why it fails at the moment

    def on_failure(self, error: OSError) -> None:
        """Report `error`, unless that was the last thing reported."""
        reason = error.strerror or str(error)
        if reason != self._reason:
            self._reason = reason
            self._report(logging.ERROR, f"cannot write {self._directory}: {reason}; retrying", cause=reason)

    def on_success(self) -> None:
        """Report that writing works again, if it did not before."""
        if self._reason:
            self._reason = ""
            self._report(logging.WARNING, f"writing {self._directory} works again")
