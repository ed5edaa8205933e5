"""Files that need no look: recorded when the watcher was started, and unchanged since the last run ended."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator

import xxhash

from dfud.core.version import folders_above, path_key
from dfud.logs.completed.recorded import RecordedVersions

_AT_ONCE = 256  # files, after which the caller may do other work
_ENCODING = sys.getfilesystemencoding()


class Settled:
    """What the first scan may pass over, one of millions of files, without a word to anybody.

    It is as it was when the process was forked, and so is good for the first scan only: what that finds to have
    changed (ctime) since the last run ended is no matter of this.
    """

    def __init__(
        self,
        recorded: RecordedVersions,
        open_files: Collection[bytes],
        open_folders: Collection[bytes],
        since_ns: int,
    ) -> None:
        """`open_files` are the keys of the paths that are in progress, `open_folders` those of their folders.

        What has changed since `since_ns` may have new content at the same size and mtime.
        """
        self._recorded = recorded
        self._open_files = open_files
        self._doubtful = {*open_files, *open_folders}
        self._since_ns = since_ns
        self._is_recorded = recorded.finder()

    def unsettled(
        self,
        folder: bytes,
        items: Iterable[os.DirEntry[str]],
        accepts: Callable[[bytes], bool] | None = None,
    ) -> Iterator[os.DirEntry[str] | int]:
        """Yield those `items` of a folder that want a look, and in between how many were passed over.

        With `accepts`, the first that is passed over is one with such a path: that one is accepted is enough to
        know for whoever scans.
        """
        above = [path_key(each) for each in (folder, *folders_above(folder)) if each]
        if any(key in self._open_files or self._recorded.is_ambiguous(key) for key in above):
            yield from items
            return
        # Each line of this loop is run for each file of each run: no function is called that need not be.
        is_recorded, doubtful, since_ns = self._is_recorded, self._doubtful, self._since_ns
        digest, is_file, encoding = xxhash.xxh3_64_digest, stat.S_ISREG, _ENCODING
        prefix = folder + b"/" if folder else b""
        n_settled = 0
        for item in items:
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:  # whoever looks at the item meets it again
                yield item
                continue
            if status.st_ctime_ns < since_ns and is_file(status.st_mode):
                path = prefix + item.name.encode(encoding, "surrogateescape")
                key = digest(path)
                # The identity of a `FileVersion`.
                if key not in doubtful and is_recorded(
                    key + digest(b"%s,%d,%d" % (path, status.st_size, status.st_mtime_ns))
                ):
                    if accepts is not None:
                        if not accepts(path):
                            yield item
                            continue
                        accepts = None
                    n_settled += 1
                    if n_settled == _AT_ONCE:
                        yield n_settled
                        n_settled = 0
                    continue
            yield item
        if n_settled:
            yield n_settled
