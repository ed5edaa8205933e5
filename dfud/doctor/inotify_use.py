"""How much of inotify(7) the kernel grants to this user, and how much of it is in use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

_FOLDER = "/proc/sys/fs/inotify"
_OF_NAMESPACE = "/proc/sys/user"  # of the user namespace, which may grant less
_INOTIFY = "anon_inode:inotify"


class InotifyUse(NamedTuple):
    """Instances and watches: one watch for each folder."""

    instances: int
    watches: int


class InotifyLimits(NamedTuple):
    """What the kernel grants; None where that is not known."""

    instances: int | None
    watches: int | None
    queue: int | None  # events


def inotify_limits() -> InotifyLimits:
    """Return the limits for each user."""
    return InotifyLimits(
        _least(f"{_FOLDER}/max_user_instances", f"{_OF_NAMESPACE}/max_inotify_instances"),
        _least(f"{_FOLDER}/max_user_watches", f"{_OF_NAMESPACE}/max_inotify_watches"),
        _least(f"{_FOLDER}/max_queued_events"),
    )


def inotify_use(uid: int) -> InotifyUse:
    """Count what the processes of a user have, as far as this process may look at them."""
    instances: dict[str, int] = {}  # watches by the identity of the instance: processes may share one
    for descriptor in _inotify_descriptors(uid):
        with contextlib.suppress(OSError), open(descriptor, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
            watches = [line for line in lines if line.startswith("inotify ")]
            # The kernel does not name an instance: its watches do, and one without any counts each time.
            identity = "\n".join(watches) or descriptor
            instances[identity] = len(watches)
    return InotifyUse(len(instances), sum(instances.values()))


def _inotify_descriptors(uid: int) -> Iterator[str]:
    """Yield the files in /proc that describe the inotify instances which the processes of a user have open."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
            if os.stat(f"/proc/{process}").st_uid != uid:
                continue
            for number in os.listdir(f"/proc/{process}/fd"):
                if os.readlink(f"/proc/{process}/fd/{number}") == _INOTIFY:
                    yield f"/proc/{process}/fdinfo/{number}"


def _least(*paths: str) -> int | None:
    """Return the lowest of the numbers in some files of /proc; None if none of them can be read."""
    numbers = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            numbers.append(int(file.read()))
    return min(numbers, default=None)
