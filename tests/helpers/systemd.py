"""A real systemd that cannot change this machine: process 1 of namespaces of its own, on a copy of / in memory.

It finds no units but those of the test and a handful of empty targets: what a distribution starts at boot, and
what empties /tmp then, is not known to it. Network and clock are this machine's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import WAIT_S, wait_until

_SYSTEMD = next(filter(os.path.exists, ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")), "")
_NEEDED = ("unshare", "nsenter", "pivot_root", "findmnt", "setpriv", "systemctl")
_CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
_UNITS = "/etc/systemd/system"
_DROPPED = "sys_module,sys_rawio,sys_time,sys_boot,syslog,audit_control,audit_write,audit_read,net_admin,mknod"

# Nothing of this machine is writable from where the old root is gone; that is checked before systemd is started.
_BOOT = r"""
set -eu
echo $$ > "$1/cgroup.procs"; shift
exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --propagation private sh -euc '
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev var/lib/systemd var/log etc/systemd/system; do
  mkdir -p $folder; mount -t tmpfs -o mode=755 tmpfs $folder
done
chmod 1777 tmp
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/shm dev/mqueue dev/hugepages dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t mqueue mqueue dev/mqueue
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for path; do
  mkdir -p ".$path"; mount --bind "$path" ".$path"; mount -o remount,bind,ro ".$path"
done
mkdir old
pivot_root . old
cd /
umount -l /old
[ "$(findmnt -no FSTYPE /)" = overlay ]
[ "$(findmnt -no FSTYPE /tmp)" = tmpfs ]
for target in sysinit basic multi-user default shutdown umount local-fs remote-fs network-online; do
  printf "[Unit]\nDefaultDependencies=no\n" > /etc/systemd/system/$target.target
done
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other SYSTEMD_UNIT_PATH=/etc/systemd/system \
  setpriv --bounding-set "-$0" "$SYSTEMD" --system --log-target=null --show-status=no
' "$DROPPED" "$@"
"""


class Systemd:
    """Responsible for a systemd, which ends with the block."""

    def __init__(self, visible: Sequence[Path] = ()) -> None:
        """Start one that sees of /tmp, /run and /var/log only the folders `visible`, and cannot write to them."""
        missing = [name for name in _NEEDED if shutil.which(name) is None]
        if os.geteuid() != 0 or missing or not _SYSTEMD:
            raise UnavailableError("a systemd of its own needs root, util-linux and systemd")
        top = next((path for path in _CGROUPS if os.path.exists(f"{path}/cgroup.procs")), "")
        if not os.path.exists(f"{top}/cgroup.subtree_control"):
            raise UnavailableError("a systemd of its own needs cgroups of version 2")
        self._cgroup = Path(top) / f"dfud-test-{os.getpid()}"
        self._cgroup.mkdir()
        dropped = ",-".join(_DROPPED.split(","))
        self._process = subprocess.Popen(
            ["sh", "-c", _BOOT, "sh", self._cgroup, *visible],
            env={**os.environ, "SYSTEMD": _SYSTEMD, "DROPPED": dropped},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._init = 0

    def __enter__(self) -> Systemd:
        try:
            self._init = wait_until(self._booted)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _booted(self) -> int:
        """Return the process id of the systemd once it answers; raise UnavailableError if it ends."""
        if self._process.poll() is not None:
            assert self._process.stdout is not None
            raise UnavailableError(f"cannot start a systemd: {self._process.stdout.read().strip()}")
        pid = self._process.pid
        with contextlib.suppress(OSError, ValueError):
            init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
            if Path(f"/proc/{init}/comm").read_text() == "systemd\n":
                self._init = init
                if self.run("systemctl", "is-active", "default.target", check=False) == "active\n":
                    return init
        return 0

    def run(self, *words: object, text: str | None = None, check: bool = True, seconds: float = WAIT_S) -> str:
        """Run a program where the systemd is, with `text` as its input; return its output."""
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self._init),
                *["-m", "-p", "-C", "-u", "-i", "-r", "-w", "--"],
                *map(str, words),
            ],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file there."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}"; cat > "$1"', "sh", path, text=text)

    def write_unit(self, name: str, text: str) -> None:
        """Write a unit, or a drop-in."""
        self.write(f"{_UNITS}/{name}", text)

    def property(self, unit: str, name: str) -> str:
        """Return what systemd knows of a unit."""
        return self.run("systemctl", "show", f"--property={name}", "--value", unit).rstrip("\n")

    def close(self) -> None:
        """End it, with all that runs in it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        deadline = time.monotonic() + WAIT_S
        while self._cgroup.exists() and time.monotonic() < deadline:
            for folder in sorted(self._cgroup.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                self._cgroup.rmdir()
