"""Root releases files from a directory whose owner swaps them meanwhile, for thousands of files.

Nothing outside may be touched, and of what the owner puts in the place of files nothing may go. Each of his files
has its own content, and the size and the time of the file whose place it takes; after each release, all of them
must be there still. Only his own regular files at the private names of dfud are left out: whoever may rename
them could as well delete them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import xxhash

from dfud.core.tables import CompletedRow, format_table
from dfud.errors import DfudError
from tests.faults.canaries import Canaries, owned_directory
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.releasing import UploadedDirectory, wait_for_tick
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import NOBODY

_FOLDERS = ("", "folder/", "folder/deep/")
_PER_FOLDER = 12
_VICTIMS = ("roots", "somebodys")  # outside
_PRIVATE = ".dfud-releasing."
_OWN_FILES = 20  # of the owner, for each release
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100
_TO_END_S = 60.0
_ATTACKS, _IS_IDLE = 0, 1  # bytes of the shared memory


def attack_release(scene: Scene, tally: Tally, times: int) -> None:
    """Release files, which are then made anew, for so many seconds."""
    if os.geteuid():
        raise UnavailableError("dfud has to be root, to be able to do harm")
    canaries, directory = Canaries(scene), owned_directory(scene)
    moved = scene.directory()
    mtime_ns = (canaries.path / _VICTIMS[0]).stat().st_mtime_ns
    size = (canaries.path / _VICTIMS[0]).stat().st_size
    shared = mmap.mmap(-1, 2)
    seed = scene.random.getrandbits(32)
    owner = _fork(lambda: _Owner(directory, canaries.path, size, mtime_ns, shared, seed).run())
    output, end = os.pipe()
    root = _fork(
        lambda: os.write(end, json.dumps(_Root(directory, moved, size, mtime_ns, shared).run(times)).encode())
    )
    os.close(end)
    try:
        text = os.read(output, 1 << 20) if select.select([output], [], [], times + _TO_END_S)[0] else b""
    finally:
        for pid in (owner, root):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(output)
    tally.require(bool(text), "a release does not end")
    n_releases, n_released, failures = json.loads(text or b"[0, 0, []]")
    tally.times += n_releases
    tally.files += n_released
    tally.require(n_released > 0, "nothing was released")
    for failure in failures:
        tally.complain(failure)
    canaries.check(tally, [directory, moved])


def _fork(act: object) -> int:
    pid = os.fork()
    if not pid:
        try:
            signal.set_wakeup_fd(-1)
            act()  # type: ignore[operator]
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    return pid


def _received(path: str, size: int) -> bytes:
    return b"received: %b" % path.encode().ljust(size, b".")[: size - 10]


class _Root:
    """Makes files that are uploaded and received, and releases them."""

    def __init__(self, directory: Path, moved: Path, size: int, mtime_ns: int, shared: mmap.mmap) -> None:
        self._top = directory
        self._moved = moved
        self._size = size
        self._mtime_ns = mtime_ns
        self._shared = shared
        self._paths = [f"{folder}f{number}" for folder in _FOLDERS for number in range(_PER_FOLDER)]
        self._paths += [f"{folder}{victim}" for folder in _FOLDERS[1:] for victim in _VICTIMS]
        self._failures: set[str] = set()

    def run(self, seconds: float) -> tuple[int, int, list[str]]:
        """Release for so long; return how often, how many files have gone, and what went wrong."""
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        until = time.monotonic() + seconds
        n_releases = n_released = 0
        while time.monotonic() < until:
            n_releases += 1
            uploaded = self._make()
            self._set_attack(True)
            try:
                report = uploaded.release(
                    moved_to=self._moved if n_releases % 3 == 0 else None, rehash=n_releases % 2 == 0
                )
                n_released += report.files
            except (DfudError, OSError):  # what was planted is refused
                pass
            except Exception:
                self._failures.add(traceback.format_exc())
            finally:
                self._set_attack(False)
            self._check()
        return n_releases, n_released, sorted(self._failures)[:20]

    def _set_attack(self, attacks: bool) -> None:
        self._shared[_ATTACKS] = attacks
        while not attacks and not self._shared[_IS_IDLE]:
            time.sleep(0.001)

    def _make(self) -> UploadedDirectory:
        """Empty the directory, and make all files anew."""
        for folder in (self._top, self._moved):
            _empty(folder)
        for name in ("LOGS", "folder", "folder/deep", ".own"):
            (self._top / name).mkdir()
        rows = []
        now = datetime.now(timezone.utc)
        for path in self._paths:
            data = _received(path, self._size)
            (self._top / path).write_bytes(data)
            os.utime(self._top / path, ns=(self._mtime_ns, self._mtime_ns))
        for number in range(_OWN_FILES):
            own = self._top / ".own" / f"p{number}"
            own.write_bytes(_precious(number, self._size))
            os.utime(own, ns=(self._mtime_ns, self._mtime_ns))
        for below in self._top.rglob("*"):
            os.chown(below, NOBODY, NOBODY)
        uploaded = UploadedDirectory(self._top)
        uploaded.waits = False
        for path in self._paths:
            uploaded.receive(self._top / path)
        wait_for_tick()
        now = datetime.now(timezone.utc)
        for path in self._paths:
            digest = xxhash.xxh3_128_hexdigest(_received(path, self._size))
            rows.append(
                CompletedRow(
                    path, self._size, self._mtime_ns, 1, self._size, digest, now.isoformat(), now.isoformat()
                )
            )
        uploaded.logs.replace(uploaded.logs.completed, [format_table(CompletedRow, rows).encode()])
        wait_for_tick()
        return uploaded

    def _check(self) -> None:
        """Check that everything of the owner's is there still, and that nothing of it was moved."""
        found = set(_contents(self._top))
        expected = {_precious(number, self._size) for number in range(_OWN_FILES)}
        with contextlib.suppress(FileNotFoundError):
            text = (self._top / ".own" / "written").read_text()
            expected |= {_precious(int(number), self._size) for number in text.split()}
        for lost in sorted(expected - found):
            self._failures.add(f"{lost!r} has gone, of which there is no receipt")
        wanted = {_received(path, self._size) for path in self._paths}
        for other in sorted(set(_contents(self._moved)) - wanted):
            self._failures.add(f"{other!r} was moved, of which there is no receipt")


def _precious(number: int, size: int) -> bytes:
    return b"the owner's %d" % number + b"." * (size - len(b"the owner's %d" % number))


def _contents(top: Path) -> Iterator[bytes]:
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.path.isfile(path):
                with open(path, "rb") as file:
                    yield file.read(1 << 12)


def _empty(top: Path) -> None:
    for folder, folders, names in os.walk(top, topdown=False):
        for name in names:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            path = os.path.join(folder, name)
            (os.unlink if os.path.islink(path) else os.rmdir)(path)


class _Owner:
    """Swaps what is in his directory; never removes a regular file of his."""

    def __init__(
        self, directory: Path, outside: Path, size: int, mtime_ns: int, shared: mmap.mmap, seed: int
    ) -> None:
        self._outside = str(outside)
        self._outside_fd = os.open(outside, os.O_PATH)
        self._size = size
        self._mtime_ns = mtime_ns
        self._shared = shared
        self._random = random.Random(seed)
        self._renameat2 = ctypes.CDLL(None).renameat2
        self._n = _OWN_FILES
        os.chdir(directory)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    def run(self) -> None:
        acts = [
            (8, self._exchange_own),
            (8, self._rewrite),
            (6, self._plant),
            (3, self._swap_folder),
            (4, self._attack_private),
            (3, self._link),
            (2, self._rename),
            (1, self._swap_logs),
        ]
        weights = [weight for weight, _ in acts]
        while True:
            if not self._shared[_ATTACKS]:
                self._shared[_IS_IDLE] = 1
                time.sleep(0.0005)
                continue
            self._shared[_IS_IDLE] = 0
            act = self._random.choices(acts, weights)[0][1]
            with contextlib.suppress(OSError):
                act()

    def _path(self) -> str:
        return f"{self._random.choice(_FOLDERS)}f{self._random.randrange(_PER_FOLDER)}"

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _exchange(self, one: str, other: str) -> None:
        self._renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)

    def _flip(self, one: str, other: str) -> None:
        until = time.monotonic() + self._random.choice((0.0002, 0.002, 0.006))
        while time.monotonic() < until:
            self._exchange(one, other)
            self._exchange(one, other)

    def _exchange_own(self) -> None:
        own, path = f".own/p{self._random.randrange(_OWN_FILES)}", self._path()
        if self._random.random() < 0.5:
            self._exchange(own, path)
        else:
            self._flip(own, path)

    def _rewrite(self) -> None:
        """Write into a file that may go, and put its time back."""
        waits = self._random.random() < 0.5
        descriptor = os.open(self._path(), os.O_RDWR | os.O_NOFOLLOW | (0 if waits else os.O_NONBLOCK))
        try:
            if not os.pread(descriptor, 10, 0).startswith(b"received"):
                return
            number = self._next()
            os.pwrite(descriptor, _precious(number, self._size), 0)
            os.utime(descriptor, ns=(self._mtime_ns, self._mtime_ns))
            if os.fstat(descriptor).st_nlink:  # or it had gone before it was opened
                with open(".own/written", "a") as file:
                    file.write(f"{number}\n")
        finally:
            os.close(descriptor)

    def _make_plant(self) -> str:
        own = f".own/x{self._next()}"
        kind = self._random.choice(("link", "link", "hard link", "fifo", "folder"))
        victim = self._random.choice(_VICTIMS)
        if kind == "link":
            os.symlink(f"{self._outside}/{victim}", own)
        elif kind == "hard link":
            os.link(victim, own, src_dir_fd=self._outside_fd)
        elif kind == "fifo":
            os.mkfifo(own)
        else:
            os.mkdir(own)
        return own

    def _plant(self) -> None:
        self._flip(self._make_plant(), self._path())

    def _attack_private(self) -> None:
        folder = self._random.choice(_FOLDERS)
        names = [name for name in os.listdir(folder or ".") if name.startswith(_PRIVATE)]
        if names:
            path = folder + self._random.choice(names)
            if self._random.random() < 0.3:
                os.link(path, f".own/x{self._next()}")
            else:
                self._flip(self._make_plant(), path)

    def _swap_folder(self) -> None:
        own = f".own/x{self._next()}"
        os.symlink(self._outside, own)
        self._flip(own, self._random.choice(("folder", "folder/deep")))

    def _swap_logs(self) -> None:
        own = f".own/x{self._next()}"
        os.symlink(self._outside, own)
        self._flip(own, "LOGS")

    def _link(self) -> None:
        os.link(self._path(), f".own/x{self._next()}")

    def _rename(self) -> None:
        path, own = self._path(), f".own/x{self._next()}"
        os.rename(path, own)
        if not os.path.lexists(path):
            os.link(own, path)
            os.unlink(own)


FAULTS = [Fault("root releases files that their owner swaps", attack_release, times=60, quick=2)]
