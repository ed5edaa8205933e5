"""Examples of /proc/self/mountinfo."""

from __future__ import annotations

import pytest

from dfud.watch.remote import read_mountinfo, remote_file_system

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 22 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
31 22 0:30 / /data rw,relatime shared:12 - nfs4 server:/export rw,vers=4.2
32 31 0:31 / /data/local rw,relatime - xfs /dev/sdb1 rw
33 22 0:32 / /mnt/with\040blank rw - cifs //host/share rw
34 22 0:33 / /home/u/ssh rw,nosuid master:3 propagate_from:2 - fuse.sshfs u@h: rw
35 22 0:34 / /mnt/ntfs rw - fuseblk /dev/sdc1 rw
36 22 0:35 / /mnt/over rw - ext4 /dev/sdd1 rw
37 22 0:36 / /mnt/over rw - 9p host rw
38 22 0:37 / /mnt/back\134slash rw - smb3 //host/other rw
39 22 0:3 net:[4026532000] /run/netns/x rw - nsfs nsfs rw
40 22 0:38 / /mnt/größe rw - beegfs beegfs_nodev rw
a line that is cut of
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", None),
        ("/home/u/files", None),
        ("/data", "nfs4"),
        ("/data/run/1", "nfs4"),
        ("/database", None),
        ("/data/local/run", None),
        ("/mnt/with blank", "cifs"),
        ("/mnt/with", None),
        ("/home/u/ssh/x", "fuse.sshfs"),
        ("/mnt/ntfs/x", None),
        pytest.param("/mnt/over/x", "9p", id="the one mounted last is on top"),
        ("/mnt/back\\slash/x", "smb3"),
        ("/mnt/größe/x", "beegfs"),
        ("/run/netns/x", None),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str | None) -> None:
    assert remote_file_system(path, MOUNTS) == kind


def test_nothing_is_known_without_proc() -> None:
    assert remote_file_system("/data", "") is None


def test_our_own_mounts_can_be_read() -> None:
    assert " / " in read_mountinfo()
    assert remote_file_system("/proc", read_mountinfo()) is None
