"""Which consumer group reads into a directory, so that each directory receives all of the topic."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable

from dfud.core.text import counted
from dfud.files.open_folder import open_regular
from dfud.kafka.watermarks import Partition

_GROUPS = "groups"  # file that lists the groups that have read into the directory, one a line


class KnownGroups:
    """The consumer groups that have read into a directory."""

    def __init__(self, dir_fd: int) -> None:
        """Read their names from the folder of parts that is open as `dir_fd`."""
        self._dir_fd = dir_fd
        self.names: list[str] = []
        try:
            descriptor = open_regular(_GROUPS, os.O_RDONLY, dir_fd)
        except FileNotFoundError:
            return
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            self.names = file.read().splitlines()

    def add(self, name: str) -> None:
        """Record that a group reads into the directory; the record is on disk when this returns."""
        descriptor = open_regular(_GROUPS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._dir_fd)
        with open(descriptor, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.fsync(self._dir_fd)
        self.names.append(name)


def choose_group(
    known: KnownGroups,
    requested: str | None,
    is_explicit: bool,
    partitions: Iterable[Partition],
    log: logging.Logger,
) -> str:
    """Return the consumer group to read with: the one requested, or one of the directory's own.

    A configuration file may serve several directories. If its group has read messages, though not into this
    directory, they would never arrive here, so the directory gets a group of its own, named after it. A group that
    was requested on the command line (`is_explicit`) is used as it is, with a warning.
    """
    if requested in known.names:
        return str(requested)
    n_read = sum(max(0, partition.committed - partition.start) for partition in partitions)
    if requested is not None and (is_explicit or not n_read):
        if n_read:
            log.warning(
                f"consumer group {requested} has read {counted(n_read, 'message')} of the topic, not into this "
                "directory: they will not arrive here; choose another --consumer_group_id to read all of it"
            )
        known.add(requested)
        return requested
    prefix = f"{requested or 'dfud'}-"
    own = next((name for name in sorted(known.names) if name.startswith(prefix)), None)
    if own is None:
        own = f"{prefix}{secrets.token_hex(8)}"
        known.add(own)
        if requested is not None:
            log.info(
                f"consumer group {requested} has read the topic, but not into this directory, which uses {own}"
            )
    return own
