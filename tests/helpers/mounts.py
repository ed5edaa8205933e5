"""A mount namespace in which dfud runs, so that a test can mount and unmount below its directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from tests.helpers.unavailable import UnavailableError

_FUSE = Path("/dev/fuse")


class MountNamespace:
    """Responsible for a mount namespace, which ends with the block, and all mounts in it.

    Root of this machine gets nothing but the namespace; another user becomes root of a user namespace.
    """

    def __init__(self) -> None:
        words = ["unshare", "--mount", "--propagation", "private"]
        self._enter = ["--mount"]
        if os.geteuid() != 0:
            words += ["--user", "--map-root-user"]
            self._enter += ["--user", "--preserve-credentials"]
        # It holds the namespace, and ends when its input does.
        self._holder = subprocess.Popen(
            [*words, "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> MountNamespace:
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != b"\n":
            reason = self._holder.stderr.read().decode().strip()
            self._close()
            raise UnavailableError(f"cannot create a mount namespace: {reason}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._holder.communicate()

    @property
    def by(self) -> list[str]:
        """The words that make a command run in the namespace."""
        return ["nsenter", f"--target={self._holder.pid}", *self._enter, f"--wd={os.getcwd()}"]

    def path(self, path: Path) -> Path:
        """Return the path by which this process reaches what is at `path` in the namespace."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def mounted_at(self, where: Path) -> list[str]:
        """Return what the kernel says of what is mounted there: proc(5), /proc/pid/mountinfo."""
        lines = Path(f"/proc/{self._holder.pid}/mountinfo").read_text().splitlines()
        return [line for line in lines if line.split(" ")[4] == str(where)]

    def run(self, *words: object) -> None:
        """Run a command in the namespace. Raises UnavailableError if it fails."""
        done = subprocess.run(
            [*self.by, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"{words[0]}: {done.stderr.strip()}")

    def mount_tmpfs(self, where: Path, options: str = "size=64m,mode=1777") -> None:
        """Mount an empty file system in memory."""
        self.run("mount", "-t", "tmpfs", "-o", options, "dfud-test", where)

    def bind(self, source: Path, where: Path) -> None:
        """Show a folder at a second place."""
        self.run("mount", "--bind", source, where)

    def unmount(self, where: Path) -> None:
        """Unmount what is mounted there, even if it is in use."""
        self.run("umount", "--lazy", where)

    def mount_fuse(self, program: str, *arguments: object) -> None:
        """Run a FUSE program that goes to the background once its file system is mounted."""
        require_fuse(program)
        self.run(program, *arguments)


def require_fuse(program: str) -> None:
    """Raise UnavailableError if a FUSE program cannot mount anything here."""
    if shutil.which(program) is None:
        raise UnavailableError(f"there is no {program}")
    if not os.access(_FUSE, os.R_OK | os.W_OK):
        raise UnavailableError(f"cannot use {_FUSE}")
