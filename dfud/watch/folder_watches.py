"""The inotify(7) watches of a tree: one for each folder, and the path of the folder that each stands for."""

from __future__ import annotations

import contextlib
import errno
import os

from inotify_simple import Event, INotify, flags

_MASK = (
    flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.CREATE
    | flags.DELETE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK | flags.DONT_FOLLOW
)  # fmt: skip

_MASK_APART = flags.CLOSE_WRITE | flags.MOVED_TO | flags.ONLYDIR | flags.DONT_FOLLOW


class WatchLimitError(Exception):
    """The kernel grants no more watches or instances; the text says which setting to raise."""


class FolderWatches:
    """Responsible for one inotify instance and for knowing which folder each of its watches is on."""

    def __init__(self) -> None:
        """Make the inotify instance; WatchLimitError if the kernel refuses it."""
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise WatchLimitError(_advice(error, "fs.inotify.max_user_instances")) from None
        self._has_proc = os.path.isdir("/proc/self/fd")
        self._paths: dict[int, bytes] = {}  # by watch
        self._watches: dict[bytes, int] = {}  # by path

    def __len__(self) -> int:
        """Return how many folders are watched."""
        return len(self._paths)

    def close(self) -> None:
        """Remove all watches."""
        self._inotify.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return int(self._inotify.fileno())

    def read(self) -> list[Event]:
        """Return the events that have arrived, without waiting."""
        events: list[Event] = self._inotify.read(timeout=0)
        return events

    def path(self, watch: int) -> bytes | None:
        """Return the path of the folder that `watch` is on; None if it has been removed."""
        return self._paths.get(watch)

    def add(self, path: bytes, dir_fd: int, absolute_path: bytes) -> bool:
        """Watch the open folder `dir_fd` as the one at `path`; return whether it was not watched as that before.

        Raises WatchLimitError if the kernel has no watch left for it, and OSError if it cannot be watched.
        """
        # By its descriptor if possible: its path may be too long, or lead elsewhere by now.
        target = b"/proc/self/fd/%d/." % dir_fd if self._has_proc else absolute_path
        try:
            watch = self._inotify.add_watch(target, _MASK)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.ENOMEM):
                raise
            raise WatchLimitError(_advice(error, "fs.inotify.max_user_watches")) from None
        previous = self._paths.get(watch)
        if previous == path:
            self._watches[path] = watch  # another folder that was mounted over it had taken its place
            return False
        if previous is not None:
            self._watches.pop(previous, None)
        self._paths[watch] = path
        self._watches[path] = watch
        return True

    def add_apart(self, absolute_path: bytes) -> int:
        """Watch for files that are written or moved into a folder which is not of the tree; return the watch.

        Raises WatchLimitError if the kernel has no watch left for it, and OSError if it cannot be watched.
        """
        try:
            return int(self._inotify.add_watch(absolute_path, _MASK_APART))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.ENOMEM):
                raise
            raise WatchLimitError(_advice(error, "fs.inotify.max_user_watches")) from None

    def forget(self, watch: int) -> None:
        """Forget `watch`, which the kernel has removed."""
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]

    def remove_tree(self, path: bytes) -> None:
        """Remove the watches on the folder at `path` and on all folders below it."""
        below = path + b"/"
        for watched in [watched for watched in self._watches if watched == path or watched.startswith(below)]:
            watch = self._watches.pop(watched)
            self._paths.pop(watch, None)
            with contextlib.suppress(OSError):  # the folder was removed meanwhile, and its watch with it
                self._inotify.rm_watch(watch)


def _advice(error: OSError, setting: str) -> str:
    return f"inotify limit reached ({error.strerror}): raise the sysctl {setting}"
