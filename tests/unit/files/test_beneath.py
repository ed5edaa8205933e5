"""No link is followed, on the way to a file or in its place, whatever is replaced and when."""

from __future__ import annotations

import collections
import ctypes
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dfud.files import beneath
from dfud.files.beneath import open_beneath

pytestmark = pytest.mark.usefixtures("kernel")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top" / "a" / "b").mkdir(parents=True)
    (tmp_path / "top" / "file").write_bytes(b"inside")
    (tmp_path / "top" / "a" / "b" / "file").write_bytes(b"inside")
    (tmp_path / "outside" / "b").mkdir(parents=True)
    (tmp_path / "outside" / "b" / "file").write_bytes(b"outside")
    return tmp_path / "top"


def content(dir_fd: int, path: bytes) -> bytes:
    with open(open_beneath(dir_fd, path, os.O_RDONLY), "rb") as file:
        return file.read()


@pytest.mark.parametrize("path", [b"file", b"a/b/file", b"a/./b//file"])
def test_a_file_is_opened(dir_fd: int, path: bytes) -> None:
    assert content(dir_fd, path) == b"inside"


def test_the_descriptor_is_not_inherited(dir_fd: int) -> None:
    for path in (b"file", b"a/b/file"):
        descriptor = open_beneath(dir_fd, path, os.O_RDONLY)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        pytest.param(b"link", [errno.ELOOP], id="in the file's place"),
        pytest.param(b"a/link", [errno.ELOOP], id="in a folder"),
        pytest.param(b"to-outside/b/file", [errno.ELOOP, errno.ENOTDIR], id="first folder"),
        pytest.param(b"a/to-b/file", [errno.ELOOP, errno.ENOTDIR], id="second folder, to a folder beside"),
        pytest.param(b"a/absolute/file", [errno.ELOOP, errno.ENOTDIR], id="an absolute link to a folder beside"),
        pytest.param(b"a/root/etc/passwd", [errno.ELOOP, errno.ENOTDIR], id="a link of /proc"),
    ],
)
def test_links_are_refused(top: Path, dir_fd: int, path: bytes, codes: list[int]) -> None:
    (top / "link").symlink_to("file")
    (top / "a" / "link").symlink_to("b/file")
    (top / "to-outside").symlink_to("../outside")
    (top / "a" / "to-b").symlink_to("b")
    (top / "a" / "absolute").symlink_to(top / "a" / "b")
    (top / "a" / "root").symlink_to("/proc/self/root")
    with pytest.raises(OSError, match=r".") as refused:
        open_beneath(dir_fd, path, os.O_RDONLY)
    assert refused.value.errno in codes


@pytest.mark.parametrize("path", [b"..", b"../outside/b/file", b"a/../../outside/b/file", b"/etc/passwd", b"/"])
def test_no_path_leads_out(dir_fd: int, path: bytes) -> None:
    with pytest.raises(OSError, match="leads out of the directory") as refused:
        open_beneath(dir_fd, path, os.O_RDONLY)
    assert refused.value.errno == errno.EXDEV


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"nothing", FileNotFoundError),
        (b"a/nothing", FileNotFoundError),
        (b"nothing/file", FileNotFoundError),
        (b"", FileNotFoundError),
        (b"file/below", NotADirectoryError),
        (b"a/b/file/below", NotADirectoryError),
        (b"a/\0", ValueError),
        (b"file\0", ValueError),
        (b"a/" + b"x" * 256, OSError),
    ],
)
def test_other_errors_are_those_of_the_kernel(dir_fd: int, path: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_beneath(dir_fd, path, os.O_RDONLY)


def test_paths_may_be_longer_than_the_kernel_takes(top: Path, dir_fd: int) -> None:
    name = b"d" * 250
    path = b"/".join([name] * 20)
    here = os.dup(dir_fd)
    try:
        for _ in range(20):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
            file.write(b"deep")
        assert content(dir_fd, path + b"/file") == b"deep"
        os.symlink("file", "link", dir_fd=here)
        with pytest.raises(OSError, match="symbolic links"):
            open_beneath(dir_fd, path + b"/link", os.O_RDONLY)
    finally:
        os.close(here)
        subprocess.run(["rm", "-rf", name], cwd=top, check=True)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EINTR, errno.EAGAIN, errno.EXDEV])
def test_what_openat2_cannot_decide_is_opened_by_components(
    dir_fd: int, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def undecided(*_: object) -> int:
        ctypes.set_errno(code)
        return -1

    monkeypatch.setattr(beneath, "_syscall", undecided)
    assert content(dir_fd, b"a/b/file") == b"inside"


@pytest.mark.parametrize("path", [b"file", b"a/b/file"])
def test_a_lease_of_another_program_is_told_apart(top: Path, dir_fd: int, path: bytes) -> None:
    program = (
        "import fcntl, os, signal, sys\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "held = os.open(sys.argv[1], os.O_RDWR)\n"
        "fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-I", "-c", program, os.fsencode(top) + b"/" + path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BlockingIOError):
            open_beneath(dir_fd, path, os.O_RDONLY | os.O_NONBLOCK)
        holder.communicate()
    assert holder.returncode == 0
    assert content(dir_fd, path) == b"inside"


def test_a_folder_that_is_swapped_for_a_link_all_the_time_never_leads_out(top: Path, dir_fd: int) -> None:
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(top / "a", top / "aside")
            os.symlink("../outside", top / "a")
            os.unlink(top / "a")
            os.rename(top / "aside", top / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    outcomes: collections.Counter[bytes | int | None] = collections.Counter()  # what was read, or why it was not
    try:
        # Not a number of attempts: on a busy machine, all of them may fall between two steps of the other thread.
        while (
            min(outcomes[b"inside"], outcomes[errno.ENOENT], outcomes[errno.ELOOP] + outcomes[errno.ENOTDIR]) < 300
        ):
            assert swapping.is_alive()
            try:
                outcomes[content(dir_fd, b"a/b/file")] += 1
            except OSError as error:
                outcomes[error.errno] += 1
    finally:
        stop.set()
        swapping.join()
    assert {outcome for outcome in outcomes if isinstance(outcome, bytes)} == {b"inside"}
