"""How much of inotify(7) the kernel grants to this user, and how much of it is in use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

_INOTIFY = "anon_inode:inotify"
_SYSCTLS = "/proc/sys/"


class InotifyUse(NamedTuple):
    """Instances and watches: one watch for each folder."""

    instances: int
    watches: int


class Limit(NamedTuple):
    """A number that the kernel does not exceed."""

    sysctl: str  # that sets it
    number: int


class InotifyLimits(NamedTuple):
    """What the kernel grants to each user; None where that is not known."""

    instances: Limit | None
    watches: Limit | None
    queue: Limit | None  # events of an instance


def inotify_limits() -> InotifyLimits:
    """Return the limits, of which a user namespace may have lower ones."""
    return InotifyLimits(
        _lowest("fs.inotify.max_user_instances", "user.max_inotify_instances"),
        _lowest("fs.inotify.max_user_watches", "user.max_inotify_watches"),
        _lowest("fs.inotify.max_queued_events"),
    )


def inotify_use(uid: int) -> InotifyUse:
    """Count what the processes of a user have, as far as this process may look at them."""
    instances: dict[str, int] = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
            if os.stat(f"/proc/{process}").st_uid == uid:
                instances.update(instances_of(process))
    return InotifyUse(len(instances), sum(instances.values()))


def instances_of(process: str) -> Iterator[tuple[str, int]]:
    """Yield what tells apart the inotify instances of a process, and the number of watches of each; OSError.

    The kernel gives instances no names. Processes that share one list the same watches.
    """
    for number in os.listdir(f"/proc/{process}/fd"):
        path = f"/proc/{process}/fdinfo/{number}"
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(f"/proc/{process}/fd/{number}") == _INOTIFY:
                with open(path, encoding="ascii", errors="replace") as file:
                    watches = [line for line in file if line.startswith("inotify ")]
                yield "".join(watches) or path, len(watches)


def _lowest(*sysctls: str) -> Limit | None:
    limits = []
    for sysctl in sysctls:
        with (
            contextlib.suppress(OSError, ValueError),
            open(_SYSCTLS + sysctl.replace(".", "/"), encoding="ascii") as file,
        ):
            limits.append(Limit(sysctl, int(file.read())))
    return min(limits, key=lambda limit: limit.number, default=None)
