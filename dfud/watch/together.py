"""Files that are found one after another in one folder are reported in one message: a scan finds thousands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from dfud.core.version import FileStamp
from dfud.messages import FileFound, FilesFound

_MIN_FILES = 4  # fewer are reported one by one
_MAX_BYTES = 16 << 20  # of files that are reported together: they go to one lane, and others shall have some, too


def together(found: Sequence[FileFound]) -> Iterator[FileFound | FilesFound]:
    """Yield files in their order, those of one folder together where there are several of them."""
    for (_, compare, keeps_ctime), group in groupby(found, _kind):
        for files in _parts(group):
            if len(files) < _MIN_FILES or not keeps_ctime:
                yield from files
                continue
            stamps = [FileStamp(file.ctime_ns, file.inode) for file in files]
            is_asked = all(file.is_asked for file in files)  # there is no harm in asking twice
            yield FilesFound([file.version for file in files], stamps, compare, is_asked)


def _parts(files: Iterable[FileFound]) -> Iterator[list[FileFound]]:
    """Yield files, of which there must be one, in lists of at most `_MAX_BYTES`, or of one file."""
    part: list[FileFound] = []
    n_bytes = 0
    for file in files:
        if part and n_bytes + file.version.size > _MAX_BYTES:
            yield part
            part, n_bytes = [], 0
        part.append(file)
        n_bytes += file.version.size
    yield part


def each_of(message: FilesFound) -> Iterator[FileFound]:
    """Yield what a message says of each of its files."""
    for version, stamp in zip(message.versions, message.stamps):
        yield FileFound(version, message.compare, stamp.ctime_ns, stamp.inode, is_asked=message.is_asked)


def _kind(file: FileFound) -> tuple[bytes, bool, bool]:
    return file.version.path.rpartition(b"/")[0], file.compare, file.keeps_ctime
