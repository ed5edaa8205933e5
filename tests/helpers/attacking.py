"""A user who owns a directory, and attacks whoever works in it: links, pipes and foreign files, always swapped.

The attacker acts on what dfud does: it hears of each of dfud's steps from inotify, knows how dfud names its
temporary files, and gives its own files the sizes and times of those that it is after, so that they do not
reveal a swap.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from inotify_simple import INotify, flags

from tests.helpers.unavailable import UnavailableError

_RENAME_EXCHANGE = 2  # renameat2(2)
_AT_FDCWD = -100
_HUGE = 1 << 40
_TEMPORARY = re.compile(r"\.(.+)\.([0-9]+)\.tmp")
_STEPS = flags.CREATE | flags.OPEN | flags.MOVED_TO | flags.CLOSE_WRITE | flags.DELETE
_BAITS = 300  # files of each kind at most
_SWAPS = 7  # of each of them: an odd number
_MAX_DELAY_S = 0.3  # from a file's arrival until dfud reads it, at most


class Attacker:
    """A process of that user; it begins at once, and ends with `stop`."""

    def __init__(self, uid: int, directory: Path, outside: Path, names: list[str], seed: int) -> None:
        """Attack `directory`, in whose LOGS these names are used, with what is in the folder `outside`."""
        self._pid = _fork(lambda: _Attack(uid, directory, outside, names, seed).run())

    def stop(self) -> None:
        """End the attack."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


class Swap(NamedTuple):
    """A name that is swapped, and what for."""

    path: str  # below the directory
    plants: Sequence[str]  # what `_Attack` plants there, or "brief hard link"


class Swapper(Attacker):
    """Swaps a few names for something else, and back, as fast as possible."""

    def __init__(
        self, uid: int, directory: Path, outside: Path, swaps: Sequence[Sequence[Swap]], turn: mmap.mmap, seed: int
    ) -> None:
        """Attack what is in `directory`: the swaps of the number that the first byte of `turn` says."""
        self._pid = _fork(lambda: _Attack(uid, directory, outside, [], seed).swap(swaps, turn))


def _fork(act: Callable[[], None]) -> int:
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        raise UnavailableError("this C library has no renameat2")
    pid = os.fork()
    if not pid:
        try:
            signal.set_wakeup_fd(-1)
            act()
        finally:
            os._exit(1)
    return pid


class _Attack:
    def __init__(self, uid: int, directory: Path, outside: Path, names: list[str], seed: int) -> None:
        self._outside = str(outside)
        self._outside_fd = os.open(outside, os.O_PATH)
        self._victims = sorted(os.listdir(outside))
        self._status = {name: (outside / name).lstat() for name in self._victims}
        self._names = names
        self._random = random.Random(seed)
        self._n = 0
        self._renameat2 = ctypes.CDLL(None).renameat2
        self._due: list[tuple[float, Callable[[], None]]] = []  # what is to be done then
        os.chdir(directory)  # its parents may be closed to this user
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        self._inotify = INotify()
        os.mkdir(".own")  # what dfud does not look at

    def run(self) -> None:
        self._watch_logs()
        os.mkdir("folder")
        os.symlink(self._outside, ".folder")
        for victim in self._victims:
            self._imitate(f"folder/{victim}", victim)
        actions: list[tuple[int, Callable[[], None]]] = [
            (10, self._bait_file),
            (5, self._bait_folder),
            (10, lambda: self._flip("folder", ".folder")),
            (10, lambda: self._attack_name(self._random.choice(self._names))),
            (1, self._flip_logs),
        ]
        weights = [weight for weight, _ in actions]
        while True:
            _, act = self._random.choices(actions, weights)[0]
            with contextlib.suppress(OSError):
                act()
            until = time.monotonic() + self._random.expovariate(1 / 0.005)  # s; dfud needs some of the time
            while True:
                left = max(0.0, min([until, *(when for when, _ in self._due)]) - time.monotonic())
                for event in self._inotify.read(timeout=int(left * 1000)):
                    if event.mask & flags.IGNORED:
                        self._watch_logs()
                    with contextlib.suppress(OSError):
                        self._on_step(event.name, event.mask)
                self._do_what_is_due()
                if time.monotonic() >= until:
                    break

    def swap(self, swaps: Sequence[Sequence[Swap]], turn: mmap.mmap) -> None:
        while True:
            path, plants = self._random.choice(swaps[turn[0]])
            with contextlib.suppress(OSError):
                self._swap(path, self._random.choice(plants))

    def _swap(self, path: str, plant: str) -> None:
        own = f".own/{self._next() % 10}"
        self._remove(own)
        if plant == "brief hard link":
            self._link_briefly(own, path)
            return
        self._plant(plant, own)
        if not os.path.lexists(path):
            os.rename(own, path)
            time.sleep(0.0005 * self._random.random())
            self._remove(path)
            return
        until = time.monotonic() + 0.002 * self._random.random()
        while time.monotonic() < until:
            self._exchange(own, path)
            self._exchange(own, path)

    def _link_briefly(self, own: str, path: str) -> None:
        """Put hard links there, and remove each as soon as dfud may have opened it: one link is left."""
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            self._plant("hard link", own)
            if not os.path.lexists(own):
                return
            self._exchange(own, path)
            os.unlink(path)
            os.rename(own, path)

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [act for when, act in self._due if when <= now]
        self._due = [item for item in self._due if item[0] > now]
        for act in due:
            with contextlib.suppress(OSError):
                act()

    def _later(self, act: Callable[[], None], max_delay_s: float = _MAX_DELAY_S) -> None:
        self._due.append((time.monotonic() + max_delay_s * self._random.random() ** 2, act))

    @property
    def _victim(self) -> str:
        return self._random.choice(self._victims)

    # -- files and folders to be uploaded, which are something else by the time they are read

    def _bait_file(self) -> None:
        victim, name = self._victim, f"bait{self._next() % _BAITS}"
        self._remove(name)
        own = f".own/{name}"
        self._remove(own)
        self._plant(self._random.choice(("link", "link", "hard link", "fifo")), own, victim)
        self._imitate(f"{own}.new", victim)
        os.rename(f"{own}.new", name)
        for _ in range(_SWAPS):
            self._later(lambda: self._exchange(own, name))

    def _bait_folder(self) -> None:
        victim, name = self._victim, f"baits{self._next() % _BAITS}"
        self._remove(f"{name}/{victim}")
        self._remove(name)
        self._remove(f".own/{name}")
        os.symlink(self._outside, f".own/{name}")
        os.mkdir(name)
        self._imitate(f"{name}/{victim}", victim)
        for _ in range(_SWAPS):
            self._later(lambda: self._exchange(f".own/{name}", name))

    def _imitate(self, path: str, victim: str) -> None:
        """Make a file that differs from a victim in its bytes only."""
        status = self._status[victim]
        with open(path, "wb") as file:
            file.write(b"A" * status.st_size)
            file.flush()
            os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))

    # -- dfud's own files

    def _watch_logs(self) -> None:
        with contextlib.suppress(OSError):
            self._inotify.add_watch("LOGS", _STEPS | flags.ONLYDIR)
            for name in os.listdir("LOGS"):
                if name.startswith("download_from_"):
                    self._inotify.add_watch(f"LOGS/{name}", _STEPS | flags.ONLYDIR)

    def _on_step(self, name: str, mask: int) -> None:
        """Answer a step that somebody has made in LOGS, which may have been this process."""
        temporary = _TEMPORARY.fullmatch(name)
        if temporary:  # the next ones of this process are known
            for other in self._names:
                self._prepare(f"LOGS/.{other}.{temporary[2]}.tmp")
        elif name and self._random.random() < 0.1:
            self._attack_name(name)

    def _prepare(self, path: str) -> None:
        own = f".own/{self._next() % 10}"
        self._remove(own)
        self._plant(self._random.choice(("link", "hard link")), own)
        os.rename(own, path)

    def _attack_name(self, name: str) -> None:
        """Put something in the place of one of dfud's files, for a short or a longer time."""
        folder = next((parts for parts in self._parts_folders() if name.endswith((".part", ".json"))), "LOGS")
        path, own = f"{folder}/{name}", f".own/{self._next() % 10}"
        self._remove(own)
        self._plant(self._random.choice(("link", "hard link", "fifo", "folder", "huge file")), own)
        if not os.path.lexists(path):
            os.rename(own, path)
            self._later(lambda: self._remove(path))
        elif self._random.random() < 0.7:
            self._flip(own, path)
        else:
            self._exchange(own, path)
            self._later(lambda: self._exchange(own, path))

    @staticmethod
    def _parts_folders() -> list[str]:
        return [f"LOGS/{name}" for name in os.listdir("LOGS") if name.startswith("download_from_")]

    def _flip_logs(self) -> None:
        self._remove(".own/LOGS")
        os.symlink(self._outside, ".own/LOGS")
        self._flip(".own/LOGS", "LOGS")

    # -- means

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _plant(self, plant: str, place: str, victim: str = "") -> None:
        victim = victim or self._victim
        if plant == "link":
            os.symlink(f"{self._outside}/{victim}", place)
        elif plant == "outside":
            os.symlink(self._outside, place)
        elif plant == "hard link":
            with contextlib.suppress(PermissionError):  # fs.protected_hardlinks
                os.link(victim, place, src_dir_fd=self._outside_fd)
        elif plant == "fifo":
            os.mkfifo(place)
        elif plant == "folder":
            os.mkdir(place)
        else:
            with open(place, "wb") as file:
                file.truncate(_HUGE)

    def _flip(self, own: str, path: str) -> None:
        """Exchange two names as often as possible for an instant, an even number of times."""
        until = time.monotonic() + self._random.choice((0.0005, 0.005, 0.05))
        while time.monotonic() < until:
            self._exchange(own, path)
            self._exchange(own, path)

    def _exchange(self, one: str, other: str) -> None:
        self._renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)

    @staticmethod
    def _remove(path: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(path)


def clean(directory: Path) -> None:
    """Remove what an attacker has left, as dfud's messages ask: links, pipes, further names, folders for files."""
    for folder in (directory, directory / "LOGS"):
        for path in list(_below(folder)):
            status = path.lstat()
            if not path.is_symlink() and path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif path.is_symlink() or not path.is_file() or status.st_nlink > 1 or status.st_size == _HUGE:
                path.unlink()


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        yield path
        if path.name.startswith("download_from_") and not path.is_symlink() and path.is_dir():
            yield from path.iterdir()
