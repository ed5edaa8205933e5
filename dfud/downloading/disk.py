"""Writing to a disk that may be full for a while."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from dfud.files.sync import begin_writing

_BLOCK = 1 << 20  # bytes copied at once
_WORTH_BEGINNING = 1 << 18  # bytes; of less the kernel makes more when it writes them by itself
# Not the fault of any file: the disk is full, or broken, or we are short of something. It is waited for.
_PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)

T = TypeVar("T")


class Disk:
    """Responsible for trying again what the disk does not take; `endure(error)` waits, or raises to give up."""

    def __init__(self, endure: Callable[[OSError], None]) -> None:
        self._endure = endure

    def patiently(self, call: Callable[[], T]) -> T:
        """Call until the disk lets us; OSError for what waiting won't mend."""
        while True:
            try:
                return call()
            except OSError as problem:
                if problem.errno not in _PASSING:
                    raise
                self._endure(problem)

    def write(self, descriptor: int, pieces: Sequence[bytes], offset: int) -> None:
        """Write `pieces` one after another, all of them; OSError for what waiting won't mend.

        Of larger ones the kernel is also asked to begin with the disk, which else sees nothing of them until they
        are synced (benchmarks, question `reading`: a quarter of the whole time).
        """
        wanted = sum(map(len, pieces))
        written = self.patiently(lambda: os.pwritev(descriptor, pieces, offset))
        if written < wanted:  # the disk became full in the middle of it
            rest = b"".join(pieces)
            while written < wanted:
                at = written
                written += self.patiently(lambda: os.pwrite(descriptor, rest[at:], offset + at))  # noqa: B023
        if wanted >= _WORTH_BEGINNING:
            begin_writing(descriptor, offset, wanted)

    def copy(self, source: int, target: int, offset: int, length: int) -> None:
        """Copy a range of bytes to the same place of another file, as far as there is something."""
        end = offset + length
        while offset < end:
            data = os.pread(source, min(_BLOCK, end - offset), offset)
            if not data:
                return
            self.write(target, [data], offset)
            offset += len(data)
