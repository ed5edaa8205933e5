"""File systems on which inotify does not report what other machines write."""

from __future__ import annotations

import os
import re

# Their files may be written by other machines, or by a daemon without the kernel's knowledge.
_REMOTE = re.compile(
    "nfs4?|cifs|smb3|smbfs|9p|afs|ceph|coda|glusterfs|lustre|gpfs|beegfs|orangefs|pvfs2|ncpfs|vboxsf|prl_fs"
    "|davfs|virtiofs"
)
_REMOTE_FUSE = re.compile(
    r"fuse\.(?:sshfs|glusterfs|ceph|s3fs|rclone|gcsfuse|davfs2?|cvmfs|juicefs|mergerfs|vmhgfs-fuse|smbnetfs|curlftpfs)"
)


def remote_file_system(path: str, mountinfo: str) -> str | None:
    """Return the type of the file system of `path` if it is a remote one, otherwise None.

    `mountinfo` is the text of ``/proc/self/mountinfo`` (proc(5)), `path` is absolute and free of links.
    """
    longest_point, kind = "", ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
        if os.path.commonpath([point, path]) == point and len(point) >= len(longest_point):
            longest_point, kind = point, rest.split(" ")[0]
    return kind if _REMOTE.fullmatch(kind) or _REMOTE_FUSE.fullmatch(kind) else None


def read_mountinfo() -> str:
    """Return the text of ``/proc/self/mountinfo``; empty if it cannot be read."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
