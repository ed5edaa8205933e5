"""Examples of /proc/self/mountinfo."""

from __future__ import annotations

import os

import pytest

from dfud.watch.file_systems import (
    FileSystems,
    Traits,
    is_local_kind,
    keeps_ctime,
    parse_mountinfo,
    read_mountinfo,
)

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


LOCAL = ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat", "exfat", "fuseblk", "zfs", "ntfs3")
OTHERS = (
    "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "gpfs", "beegfs", "panfs", "wekafs", "afs", "ocfs2",
    "gfs2", "fuse", "fuse.sshfs", "fuse.mfs", "fuse.blobfuse2", "fuse.goofys", "fuse.bindfs", "fuse.mergerfs",
    "virtiofs", "", "a-type-of-tomorrow",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/u/files", "ext4"),
        ("/data", "nfs4"),
        ("/data/run/1", "nfs4"),
        ("/database", "ext4"),
        ("/data/local/run", "xfs"),
        ("/mnt/with blank", "cifs"),
        ("/mnt/with", "ext4"),
        ("/home/u/ssh/x", "fuse.sshfs"),
        ("/mnt/ntfs/x", "fuseblk"),
        pytest.param("/mnt/over/x", "9p", id="the one mounted last is on top"),
        ("/mnt/back\\slash/x", "smb3"),
        ("/mnt/größe/x", "beegfs"),
    ],
)
def test_the_file_system_of_a_directory(path: str, kind: str) -> None:
    assert FileSystems(os.fsencode(path), MOUNTS).kind == kind


@pytest.mark.parametrize("kind", LOCAL)
def test_types_that_only_this_kernel_writes_to(kind: str) -> None:
    assert is_local_kind(kind)


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_type_is_polled_besides(kind: str) -> None:
    assert not is_local_kind(kind)


@pytest.mark.parametrize("kind", ["vfat", "msdos", "exfat", "fuseblk"])
def test_fat_keeps_no_times_of_change(kind: str) -> None:
    assert not keeps_ctime(kind)
    assert keeps_ctime("ext4")


def test_what_is_mounted_below_a_directory() -> None:
    below = FileSystems(b"/data", MOUNTS).below()
    assert {path: mount.kind for path, mount in below.items()} == {b"local": "xfs"}
    assert b"mnt/over" in FileSystems(b"/", MOUNTS).below()
    assert FileSystems(b"/data/local", MOUNTS).below() == {}


def test_the_traits_of_a_file_are_those_of_its_device() -> None:
    systems = FileSystems(b"/data", MOUNTS)
    assert systems.traits(b"file", os.makedev(0, 30)) == Traits(is_local=False, keeps_ctime=True)
    assert systems.traits(b"local/file", os.makedev(0, 31)) == Traits(is_local=True, keeps_ctime=True)
    assert systems.traits(b"local/file", os.makedev(9, 9)) == Traits(
        is_local=True, keeps_ctime=True
    )  # as of btrfs
    systems.update(MOUNTS.replace("xfs /dev/sdb1", "vfat /dev/sdb1"))
    assert systems.traits(b"local/file", os.makedev(0, 31)) == Traits(is_local=True, keeps_ctime=False)


def test_nothing_is_known_without_proc() -> None:
    systems = FileSystems(b"/data", "")
    assert (systems.kind, systems.below()) == ("", {})
    assert systems.traits(b"file", os.makedev(0, 30)) == Traits(is_local=False, keeps_ctime=True)


def test_our_own_mounts_can_be_read() -> None:
    assert b"/" in {mount.point for mount in parse_mountinfo(read_mountinfo())}
    assert FileSystems(b"/proc", read_mountinfo()).kind == "proc"
