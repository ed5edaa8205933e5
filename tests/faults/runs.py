"""kill -9 of a download of sealed runs, while a consumer looks at its directory all the time."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally, count_chunks
from tests.helpers.downloading import command as download_command
from tests.helpers.downloading import contents, produce
from tests.helpers.staging import sealed
from tests.helpers.uploading import Upload, command

_MARKED = ("--run_marker", "Done.txt", "--upload_existing")
_N_RUNS, _N_FILES = 100, 1_000
_SPAN_S = 8.0  # from the start of a download, within which it is killed
_TIMEOUT_S = 900.0


class Consumer:
    """Looks at a directory all the time, and takes each folder that it sees for a whole run."""

    def __init__(self, directory: Path, tally: Tally) -> None:
        self._directory = directory
        self._tally = tally
        self._seen: set[tuple[str, int]] = (
            set()
        )  # names, and inodes: a run that was sealed again is another folder
        self.looks = 0

    @property
    def n_seen(self) -> int:
        """How many runs were seen, each of their versions counted."""
        return len(self._seen)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look for the duration of the block."""
        end = threading.Event()
        thread = threading.Thread(target=self._look, args=(end,))
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _look(self, end: threading.Event) -> None:
        while not end.wait(0.005):
            self.looks += 1
            for name in os.listdir(self._directory) if self._directory.exists() else ():
                if name != "LOGS":
                    self._check(name)

    def _check(self, name: str) -> None:
        try:
            folder_fd = os.open(self._directory / name, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self._tally.complain(f"{name} is not there for an instant")
            return
        try:
            identity = name, os.fstat(folder_fd).st_ino
            if identity in self._seen:
                return
            fault = fault_of_bag(Path(f"/proc/self/fd/{folder_fd}"))
            is_there = os.stat(self._directory / name).st_ino == identity[1]
        finally:
            os.close(folder_fd)
        if is_there:  # otherwise another one has replaced it while we looked
            self._seen.add(identity)
            if fault:
                self._tally.complain(f"{name} is visible, and {fault}")


def fault_of_bag(folder: Path) -> str:
    """Return what is wrong with a bag, found out without any code of dfud; "" for nothing."""
    try:
        lines = (folder / "manifest-sha256.txt").read_text().splitlines()
        names = {path.relative_to(folder).as_posix() for path in (folder / "data").rglob("*") if path.is_file()}
        if names != {line[66:] for line in lines}:
            return f"has {len(names)} files where its manifest has {len(lines)}"
        wrong = [
            line for line in lines if hashlib.sha256((folder / line[66:]).read_bytes()).hexdigest() != line[:64]
        ]
    except OSError as error:
        return f"lacks {error.filename}"
    return f"has other bytes than its manifest: {wrong[:3]}" if wrong else ""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill_downloads(scene: Scene, tally: Tally, times: int) -> None:
    """Kill a download, or the process that places runs, at any instant, while runs are sealed again."""
    config, topic, source = scene.config(), scene.topic(), scene.directory()
    for number in range(_N_RUNS):
        _write_run(scene, source / f"run{number}", _N_FILES)
    _upload(tally, source, config, topic)
    lacking = sealed(b"lacking", {b"a": b"1", b"b": b"2"})
    produce(scene.kafka.bootstrap, topic, [record for record in lacking if record.key != b"lacking/b"])
    copy = scene.path("copy")
    words = [*download_command(copy, config, topic, "--runs"), *scene.random.choice([[], ["--ro_crate"]])]
    consumer = Consumer(copy, tally)
    with consumer.looking():
        for number in range(times):
            if number % 2 == 1:
                _seal_again(scene, source, scene.random.sample(range(_N_RUNS), 2))
                _upload(tally, source, config, topic)
            _kill_within(scene, words, _SPAN_S)
            tally.times += 1
        with tally.recovering():
            last = Upload([*words, "--once"])
            try:
                status, text = last.end(_TIMEOUT_S)
            finally:
                last.close()
    tally.require(status == 1, text)
    tally.require("run lacking is not whole: 1 of 3 files is missing: lacking/b" in text, text)
    _check(tally, source, copy)
    judge = _judge(tally, copy)
    tally.remark = f"{consumer.n_seen} runs seen in {consumer.looks:,} looks, each whole{judge}"


def _upload(tally: Tally, source: Path, config: Path, topic: str) -> None:
    uploading = Upload(command(source, config, topic, "--once", *_MARKED))
    try:
        status, text = uploading.end(_TIMEOUT_S)
        tally.require(status == 0, text)
    finally:
        uploading.close()


def _write_run(scene: Scene, run: Path, n_files: int) -> None:
    for number in range(n_files):
        folder = run / f"d{number % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(scene.random.randbytes(scene.random.choice((0, 10, 1_000, 40_000))))
    (run / "Done.txt").write_text("done")


def _seal_again(scene: Scene, source: Path, numbers: list[int]) -> None:
    """Change two files of each run, and then its marker."""
    for number in numbers:
        run = source / f"run{number}"
        for name in ("d0/f0", "d1/new"):
            (run / name).write_bytes(scene.random.randbytes(2_000))
        (run / "Done.txt").write_bytes(scene.random.randbytes(8))


def _kill_within(scene: Scene, words: list[str], span_s: float) -> None:
    """Start a download, and kill it, or first the process that places runs, at a random instant."""
    running = Upload(words)
    try:
        if scene.random.random() < 0.5:
            os.kill(running.wait_for_worker("runs").pid, signal.SIGKILL)
        time.sleep(scene.random.uniform(0.0, span_s))  # the fault has to strike at a random instant
        running.kill()
    finally:
        running.close()


def _check(tally: Tally, source: Path, copy: Path) -> None:
    """Check that each run has the files of the directory, as they were when it was sealed last, and no others."""
    names = {path.name for path in copy.iterdir()}
    tally.require(names == {"LOGS", *(f"run{each}" for each in range(_N_RUNS))}, f"in the directory are {names}")
    for number in range(_N_RUNS):
        wanted = contents(source / f"run{number}")
        received = contents(copy / f"run{number}" / "data")
        received.pop(b"ro-crate-metadata.json", None)
        tally.files += len(wanted)
        tally.chunks += sum(map(count_chunks, wanted.values()))
        if received != wanted:
            tally.lost += sum(count_chunks(data) for path, data in wanted.items() if received.get(path) != data)
            tally.complain(f"run{number} is not as it was sealed")
    left = [path for path in (copy / "LOGS").rglob("*") if path.is_file() and path.parts[-2] == "building"]
    tally.require(not left, f"left behind: {left[:3]}")


def _judge(tally: Tally, copy: Path) -> str:
    """Have bagit-python judge each bag, if that is installed; return what is to be said of it."""
    if importlib.util.find_spec("bagit") is None:
        return ""
    bagit = importlib.import_module("bagit")
    for folder in copy.glob("run*"):
        try:
            bagit.Bag(str(folder)).validate()
        except bagit.BagError as error:
            tally.complain(f"{folder.name}: {error}")
    return ", and valid for bagit-python"


FAULTS = [Fault("kill -9 of a download of sealed runs, beside a consumer", kill_downloads, times=100)]
