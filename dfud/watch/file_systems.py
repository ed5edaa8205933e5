"""The file systems of a directory: which are mounted where, and which report all that is written to them.

On a local file system every writer is a process of this kernel, so inotify reports what is written and a lease
tells who writes. On the others (network file systems, most of FUSE, and every type that is not known here) other
machines or a daemon may write as well: there, events are not all, and files are polled besides.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_LOCAL = re.compile(
    "ext[234]|xfs|btrfs|zfs|f2fs|tmpfs|ramfs|rootfs|overlay|aufs|bcachefs|jfs|reiserfs|nilfs2|ubifs|jffs2|minix"
    "|hfs|hfsplus|ufs|vfat|msdos|exfat|ntfs|ntfs3|fuseblk|iso9660|udf|squashfs|erofs|hugetlbfs|devtmpfs"
)


# FAT and exFAT have no place for a time of change, and the kernel shows that of modification in its place. Some
# drivers in user space (fuseblk) are such ones.
_WITHOUT_CTIME = ("vfat", "msdos", "exfat", "fuse.exfat", "fuseblk")


class Mount(NamedTuple):
    """A mounted file system; as the kernel uses numbers again, the next one at a place may look the same."""

    number: int  # its mount ID
    device: str  # major:minor
    root: str  # which folder of the file system is there, as the kernel writes it
    point: bytes  # where it is mounted
    kind: str  # its type, such as ext4


class Traits(NamedTuple):
    """What a file system tells about its files."""

    is_local: bool  # only this kernel writes to it
    keeps_ctime: bool  # it shows when a file was last changed, whatever its mtime says


class FileSystems:
    """The mounts of one directory, as ``/proc/self/mountinfo`` (proc(5)) lists them."""

    def __init__(self, directory: bytes, mountinfo: str) -> None:
        """`directory` is an absolute path free of links."""
        self._directory = directory
        self._mounts: list[Mount] = []
        self._traits: dict[int, Traits] = {}  # by device number
        self.update(mountinfo)

    def update(self, mountinfo: str) -> None:
        """Take the mounts as they are now."""
        self._mounts = parse_mountinfo(mountinfo)
        self._traits.clear()

    @property
    def kind(self) -> str:
        """The type of the file system that the directory itself is on; "" if that is not known."""
        return self._kind_at(self._directory)

    def below(self) -> dict[bytes, Mount]:
        """Return the file systems mounted below the directory, by their paths relative to it."""
        prefix = self._directory.rstrip(b"/") + b"/"
        return {mount.point[len(prefix) :]: mount for mount in self._mounts if mount.point.startswith(prefix)}

    def traits(self, path: bytes, device: int) -> Traits:
        """Return those of the file system of the file at `path`, whose status has this device number."""
        known = self._traits.get(device)
        if known is None:
            name = f"{os.major(device)}:{os.minor(device)}"
            kinds = [mount.kind for mount in self._mounts if mount.device == name]
            # The subvolumes of btrfs have device numbers of their own, which are not listed.
            kind = kinds[0] if kinds else self._kind_at(os.path.join(self._directory, path))
            known = self._traits[device] = Traits(is_local_kind(kind), keeps_ctime(kind))
        return known

    def _kind_at(self, path: bytes) -> str:
        longest, kind = b"", ""
        for mount in self._mounts:  # of several at one point, the last one covers the others
            if len(mount.point) >= len(longest) and os.path.commonpath([mount.point, path]) == mount.point:
                longest, kind = mount.point, mount.kind
        return kind


def is_local_kind(kind: str) -> bool:
    """Return whether a type of file system is known to be written by this kernel only."""
    return _LOCAL.fullmatch(kind) is not None


def keeps_ctime(kind: str) -> bool:
    """Return whether a type of file system shows when a file was last changed, whatever its mtime says."""
    return kind not in _WITHOUT_CTIME


def parse_mountinfo(text: str) -> list[Mount]:
    """Return the mounts that ``/proc/self/mountinfo`` lists, in its order; malformed lines are skipped."""
    mounts = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest or not words[0].isdigit():
            continue
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), os.fsencode(words[4]))
        mounts.append(Mount(int(words[0]), words[2], words[3], point, rest.split(" ")[0]))
    return mounts


def read_mountinfo() -> str:
    """Return the text of ``/proc/self/mountinfo``; empty if it cannot be read."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
