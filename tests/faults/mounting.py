"""File systems for a fault, mounted in a namespace of their own: root only."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

from tests.helpers.mounts import require_fuse
from tests.helpers.unavailable import UnavailableError

_CLONE_NEWNS = 0x20000  # unshare(2)


@cache
def _hide_mounts() -> None:
    """Give this process a mount namespace, which ends with it. Raises UnavailableError."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        raise UnavailableError("mounting needs root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def _run(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"{words[0]}: {' '.join(done.stderr.split())}")


@contextmanager
def mount(where: Path, *options: object) -> Iterator[None]:
    """Mount what the options say for the duration of the block. Raises UnavailableError."""
    _hide_mounts()
    _run("mount", *options, where)
    try:
        yield
    finally:
        unmount(where)


def tmpfs(where: Path, megabytes: int) -> AbstractContextManager[None]:
    """Mount a file system in memory for the duration of the block. Raises UnavailableError."""
    return mount(where, "-t", "tmpfs", "-o", f"size={megabytes}m", "dfud-fault")


@contextmanager
def fuse(where: Path, program: str, *words: object) -> Iterator[None]:
    """Mount a file system of a FUSE program, called with `words` and `where`. Raises UnavailableError."""
    require_fuse(program)
    _hide_mounts()
    _run(program, *words, where)
    try:
        yield
    finally:
        unmount(where)


@contextmanager
def loop_device(image: Path, megabytes: int, *formatting: object) -> Iterator[str]:
    """Make a file of that size a block device for the duration of the block, and format it by a command.

    Raises UnavailableError.
    """
    _hide_mounts()
    if shutil.which(str(formatting[0])) is None:
        raise UnavailableError(f"there is no {formatting[0]}")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    device = _attach(image)
    try:
        _run(*formatting, device)
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], stderr=subprocess.DEVNULL, check=False)


def _attach(image: Path) -> str:
    """Make a file a block device; return its name. Raises UnavailableError."""
    done = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UnavailableError(f"no loop device: {done.stderr.strip()}")
    return done.stdout.strip()


def unmount(where: Path) -> None:
    """Unmount what is mounted there, even if it is in use."""
    subprocess.run(["umount", "--lazy", where], stderr=subprocess.DEVNULL, check=False)


class Disk:
    """An ext4 file system in an image file, by a loop device, that can be broken. Raises UnavailableError."""

    def __init__(self, image: Path, where: Path, megabytes: int) -> None:
        _hide_mounts()
        self.image, self.where, self.size = image, where, megabytes << 20
        with image.open("wb") as file:
            file.truncate(self.size)
        _run("mkfs.ext4", "-q", "-F", image)
        self.mount()

    def mount(self) -> None:
        self.device = _attach(self.image)
        try:
            _run("mount", "-o", "errors=remount-ro", self.device, self.where)
        except UnavailableError:
            _run("losetup", "-d", self.device)
            raise

    def unmount(self) -> None:
        unmount(self.where)
        subprocess.run(["losetup", "-d", self.device], stderr=subprocess.DEVNULL, check=False)

    def repair(self) -> None:
        """Unmount, check and mount it; it must not be in use."""
        self.unmount()
        subprocess.run(
            ["fsck.ext4", "-y", self.image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        self.mount()

    def make_read_only(self) -> None:
        """Report an error in it to the kernel, which then makes it read-only. Raises UnavailableError."""
        trigger = Path("/sys/fs/ext4", Path(self.device).name, "trigger_fs_error")
        try:
            trigger.write_text("1")
        except OSError as error:
            raise UnavailableError(f"cannot trigger an error of ext4: {error}") from None
