"""What dfud does with files and folders, step by step and thousands of times, while their owner swaps them.

A whole run makes each of these steps a few times only, so that most swaps come at the wrong moment.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.files.open_folder import OpenFolder
from dfud.files.openat import open_folder, open_regular_file
from dfud.files.scan import Folder, WatchedTree
from tests.faults.canaries import Canaries, owned_directory
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.attacking import Swap, Swapper
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import NOBODY

_FOLDERS = ("LOGS", "LOGS/parts", "folder", "folder/deep")
_PART = PartName(bytes(16), 0, "00000000")
_TO_END_S = 20.0  # for all of the steps; one that waits for a pipe never ends


def attack_steps(scene: Scene, tally: Tally, times: int) -> None:
    """Make each step, again and again, for some of so many seconds; nothing outside is read or written."""
    if os.geteuid():
        raise UnavailableError("dfud has to be root, to be able to do harm")
    canaries, directory = Canaries(scene), owned_directory(scene)
    for path in ("LOGS/parts", "folder", "folder/deep", "own"):
        (directory / path).mkdir()
        os.chown(directory / path, NOBODY, NOBODY)
    for path in ("file", "folder/deep/file", "LOGS/table.csv"):
        (directory / path).write_bytes(b"an owner's")
    (directory / "link").symlink_to("file")
    output, end = os.pipe()
    turn = mmap.mmap(-1, 1)
    steps = _Steps(directory, canaries.marks, turn)
    pid = os.fork()
    if not pid:
        try:
            os.write(end, json.dumps(steps.make(times)).encode())
        finally:
            os._exit(0)
    os.close(end)
    swaps = [_swaps(paths, pid) for _, paths in steps.all]
    attacker = Swapper(NOBODY, directory, canaries.path, swaps, turn, scene.random.getrandbits(32))
    try:
        text = os.read(output, 1 << 20) if select.select([output], [], [], times + _TO_END_S)[0] else b""
    finally:
        attacker.stop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(output)
    tally.times += times
    tally.require(bool(text), f"a step does not end: {steps.all[turn[0]][0].__name__}")
    for failure in json.loads(text or b"[]"):
        tally.complain(failure)
    canaries.check(tally, [directory])


def _swaps(paths: str, pid: int) -> list[Swap]:
    """Return how these paths are swapped; "PID" in them is the number of dfud's process."""
    return [
        Swap(
            path, ("outside",) if path in _FOLDERS else ("link", "hard link", "brief hard link", "fifo", "folder")
        )
        for path in paths.replace("PID", str(pid)).split()
    ]


class _Steps:
    def __init__(self, directory: Path, marks: list[bytes], turn: mmap.mmap) -> None:
        self._directory = directory
        self._marks = marks
        self._turn = turn
        self._failures: set[str] = set()
        part = f"LOGS/parts/{_PART}"
        self.all: list[tuple[Callable[[], None], str]] = [  # and what is swapped meanwhile
            (self._write_in_place, "LOGS/.upload.lock"),
            (self._write_in_place, "LOGS"),
            (self._read_table, "LOGS/table.csv"),
            (self._replace_table, "LOGS/table.csv LOGS/.table.csv.PID.tmp"),
            (self._replace_table, "LOGS"),
            (self._make_beside, "LOGS/.upload.lock LOGS/..upload.lock.PID.tmp"),
            (self._read_files, "file folder/deep/file"),
            (self._read_files, "folder folder/deep"),
            (self._read_linked_file, "link file"),
            (self._scan, "folder"),
            (self._place, "folder folder/deep"),
            (self._read_placed, "file folder"),
            (self._use_parts, f"{part}.part {part}.new {part}.json LOGS/parts"),
        ]

    def make(self, seconds: float) -> list[str]:
        """Make the steps for so long; return what went wrong."""
        os.fsync = _do_nothing  # type: ignore[assignment]  # a disk would slow the steps down
        done: set[str] = set()
        for number, (step, _) in enumerate(self.all):
            self._turn[0] = number
            until = time.monotonic() + seconds / len(self.all)
            while time.monotonic() < until:
                try:
                    step()
                    done.add(step.__name__)
                except OSError:  # what was planted is refused
                    pass
                except Exception:
                    self._failures.add(traceback.format_exc())
        never = sorted({step.__name__ for step, _ in self.all} - done)
        return [*sorted(self._failures), *(f"{name} never succeeded" for name in never)]

    def _check(self, step: str, data: bytes) -> None:
        if any(mark in data for mark in self._marks):
            self._failures.add(f"{step} read what only root may read")

    @contextlib.contextmanager
    def _logs(self) -> Iterator[OpenFolder]:
        folder = OpenFolder(str(self._directory), "LOGS")
        try:
            folder.make()
            yield folder
        finally:
            folder.close()

    def _write_in_place(self) -> None:
        with self._logs() as logs:
            descriptor = logs.open_in_place(logs.file(".upload.lock"), os.O_RDWR)
            try:
                os.write(descriptor, b"written")
            finally:
                os.close(descriptor)

    def _read_table(self) -> None:
        with self._logs() as logs, logs.open_to_read(logs.file("table.csv")) as file:
            self._check("a table", file.read(1 << 16))

    def _replace_table(self) -> None:
        with self._logs() as logs:
            logs.replace(logs.file("table.csv"), [b"table"])

    def _make_beside(self) -> None:
        with self._logs() as logs:
            path = logs.file(".upload.lock")
            descriptor, temporary = logs.open_beside(path)
            try:
                os.write(descriptor, b"lock")
                logs.rename_to_new(temporary, path)
            except OSError:
                logs.unlink(temporary)
            finally:
                os.close(descriptor)

    def _read_files(self) -> None:
        dir_fd = os.open(self._directory, os.O_RDONLY)
        try:
            for path in (b"file", b"folder/deep/file", b"folder/roots", b"folder/deep/roots"):
                with contextlib.suppress(OSError):
                    descriptor, _ = open_regular_file(path, dir_fd)
                    self._check("a chunker", _read(descriptor))
            os.close(open_folder(dir_fd, b"folder/deep"))
        finally:
            os.close(dir_fd)

    def _read_linked_file(self) -> None:
        dir_fd = os.open(self._directory, os.O_RDONLY)
        try:
            descriptor, _ = open_regular_file(b"link", dir_fd)
            self._check("a chunker, by a link,", _read(descriptor))
        finally:
            os.close(dir_fd)

    def _scan(self) -> None:
        tree = WatchedTree(os.fsencode(self._directory), _Everything())
        try:
            for item in tree.walk(Folder(b"", take_all=True)):
                if item is not None and item[0].version.path.rpartition(b"/")[2] in (b"roots", b"somebodys"):
                    self._failures.add(f"a scan found {item[0].version.path!r}, which is outside")
        finally:
            tree.close()

    def _place(self) -> None:
        tree = ConfinedTree(str(self._directory))
        try:
            own_fd = tree.open_folder(b"own")
            for path in (b"file", b"folder/new", b"folder/deep/file"):
                descriptor = os.open("part", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=own_fd)
                os.write(descriptor, b"a download's")
                os.close(descriptor)
                tree.place("part", own_fd, path)
        finally:
            tree.close()

    def _read_placed(self) -> None:
        tree = ConfinedTree(str(self._directory))
        try:
            for path in (b"file", b"folder/deep/file", b"folder/roots"):
                tree.stat_file(path)
                with contextlib.suppress(OSError):
                    self._check("a download", _read(tree.open(path)))
        finally:
            tree.close()

    def _use_parts(self) -> None:
        with self._logs() as logs:
            folder_fd = logs.open_folder_in("parts")
        try:
            parts = PartsFolder(folder_fd)
            with contextlib.suppress(FileExistsError):
                os.close(parts.create(_PART))
            descriptor = parts.open(_PART)
            try:
                os.write(descriptor, b"a part")
            finally:
                os.close(descriptor)
            parts.write_metadata(_PART, b"metadata")
            parts.publish_metadata(_PART)
            with contextlib.suppress(ValueError):
                parts.read_metadata(_PART)
            parts.remove(_PART)
        finally:
            os.close(folder_fd)


class _Everything:
    def accepts(self, path: bytes) -> bool:
        return not path.startswith(b".")

    def accepts_folder(self, path: bytes) -> bool:
        return not path.startswith(b".")


def _do_nothing(_descriptor: int) -> None:
    pass


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read(1 << 16)


FAULTS = [Fault("root makes each step with files that their owner swaps", attack_steps, times=60, quick=4)]
