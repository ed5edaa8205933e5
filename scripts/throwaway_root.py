"""A Debian in a folder, in which packages can be installed without touching this machine.

It is made by debootstrap. Every command in it has namespaces of its own for mounts and processes, so that nothing
outlives it and nothing stays mounted; no service can be started (policy-rc.d), and there is no systemd in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_APART = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--ipc", "--uts")
_ENTER = """
set -e
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/dev"
for device in null zero full random urandom tty; do
    touch "$0/dev/$device"
    mount --bind "/dev/$device" "$0/dev/$device"
done
ln -s /proc/self/fd "$0/dev/fd"
mkdir -m 1777 "$0/dev/shm"
exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \\
    DEBIAN_FRONTEND=noninteractive "$@"
"""


class ThrowawayRoot:
    """A minimal Debian of the release of this machine; DFUD_THROWAWAY_ROOT names one to use and to keep."""

    def __init__(self) -> None:
        """Make it, in minutes; subprocess.CalledProcessError if that fails."""
        kept = os.environ.get("DFUD_THROWAWAY_ROOT")
        self._parent = None if kept else tempfile.mkdtemp(prefix="dfud-root-")
        self.path = Path(kept or f"{self._parent}/root").resolve()
        if self.path == Path("/"):
            raise ValueError("the root of this machine is none to throw away")
        if not (self.path / "etc" / "debian_version").exists():
            self._make()

    def _make(self) -> None:
        release = dict(
            line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
        )
        suite = release["VERSION_CODENAME"].strip('"')
        words = (
            "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates,procps,python3",
            suite,
            str(self.path),
        )
        subprocess.run([*_APART, "--mount-proc", *words], check=True, stdin=subprocess.DEVNULL)
        no_service = self.path / "usr" / "sbin" / "policy-rc.d"
        no_service.write_text("#!/bin/sh\nexit 101\n")
        no_service.chmod(0o755)
        shutil.copy2("/etc/resolv.conf", self.path / "etc" / "resolv.conf")

    @staticmethod
    def why_not() -> str | None:
        """Return why none can be had here, or None."""
        if os.geteuid() != 0:
            return "only root can make another root"
        missing = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
        return f"{missing[0]} is not installed" if missing else None

    def run(self, *words: str, may_fail: bool = False) -> str:
        """Run a command in it, as root; return what it prints. Raises subprocess.CalledProcessError."""
        print(f"\n(root) # {' '.join(words)}", flush=True)
        done = subprocess.run(
            [*_APART, "sh", "-c", _ENTER, str(self.path), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        print(done.stdout, end="", flush=True)
        if not may_fail:
            done.check_returncode()
        return done.stdout

    def put(self, source: Path) -> str:
        """Copy a file into it; return its path there."""
        shutil.copy2(source, self.path / "srv")
        return f"/srv/{source.name}"

    def close(self) -> None:
        """Remove it, unless something is mounted below it."""
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        if self._parent is not None and not any(where.startswith(f"{self._parent}/") for where in mounted):
            shutil.rmtree(self._parent)
