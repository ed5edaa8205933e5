"""Everything is killed, again and again, while files are uploaded, received by two receivers and deleted.

An upload with ``--release``, a ``dfud release --keep_free`` in a loop, and two downloads run beside a program that
writes files, and writes them anew in every way. Each content is written once, so that its digest says which it is.
What was deleted must have receipts of both receivers of the very bytes, older than the deletion; and in the end
nothing may be left that they have.

It is small unless the environment says otherwise: DFUD_RELEASED_FILES, DFUD_RELEASED_LARGE (how many of these are
sparse files of 64 MiB) and DFUD_RELEASED_KILLS. All of it, 50 GB: 1000000, 800 and 500. What a receiver has put in
its place is made sparse again, so that all of it needs about 15 GB of disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import xxhash
from confluent_kafka import Consumer, TopicPartition

from dfud.core.released import RELEASED, read_released
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers import downloading
from tests.helpers.topics import create_topic
from tests.helpers.uploading import command

_RECEIVERS = ("archive", "analysis")
_CHUNK = ("--chunk_size", 1 << 19)
_LARGE_BYTES = 64 << 20
_PER_FOLDER = 1_000
_MAX_PAUSE_S = 2.5  # between two kills
_KILLS_AT_THE_END = 3  # of releases, once everything is received
_SHARE_REWRITTEN = 0.1  # of the files
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # of fallocate
_PAGE = 4096  # what is not zero of a large file lies in its first page
_BETWEEN_HOLES_S = 0.2
_READ_TIMEOUT_S = 30.0
_CLOCK_S = 0.01  # by which the broker's clock and a row's may differ: both are rounded
_TO_FINISH_S = 3_600.0


def kill_while_releasing(scene: Scene, tally: Tally, times: int) -> None:
    """Kill so many processes; then let the rest be sent, received and deleted."""
    n_files = int(os.environ.get("DFUD_RELEASED_FILES", "3000"))
    n_large = int(os.environ.get("DFUD_RELEASED_LARGE", "4"))
    times = int(os.environ.get("DFUD_RELEASED_KILLS", str(times)))
    directory, topic = scene.directory(), scene.topic()
    receipts = create_topic(
        scene.kafka.internal_bootstrap,
        3,
        settings={"cleanup_policy": "compact", "message_timestamp_type": "LogAppendTime"},
    )
    config = scene.config(compression_type="zstd")
    copies = [scene.directory() for _ in _RECEIVERS]
    wanted: list[object] = ["--receipts", receipts]
    wanted += [word for name in _RECEIVERS for word in ("--receivers", name)]
    release = [
        *(sys.executable, "-m", "dfud", "release", str(directory), "--config", str(config), "--topic_name", topic),
        *map(str, wanted),
        *("--delete", "--yes"),
    ]
    continuous = ["--upload_existing", *_CHUNK, *wanted, "--release", "delete", "--release_every", "2s"]
    received = [["--receipts", receipts, "--receiver", name] for name in _RECEIVERS]
    log = scene.path("log")
    programs = [
        _Program(command(directory, config, topic, *continuous, "--release_keep_free", 99.9), log),
        _Program([*release, "--keep_free", "99.9"], log),
        *(
            _Program(downloading.command(copy, config, topic, *options), log)
            for copy, options in zip(copies, received)
        ),
    ]
    writer = _Writer(scene.random.getrandbits(32), directory, n_files, n_large)
    writer.start()
    thinner = _Thinner(copies, writer.large_files)
    thinner.start()
    try:
        while tally.times < times:
            time.sleep(scene.random.uniform(0.0, _MAX_PAUSE_S))  # at any instant
            for program in programs:
                program.keep_running()
            if writer.n_written * times < n_files * tally.times:
                continue  # the kills are spread over all that is written
            tally.times += scene.random.choice(programs).kill()
            writer.n_allowed = n_files * tally.times // times
        writer.join()
    finally:
        writer.is_asked_to_end = True
        for program in programs:
            program.kill()
    tally.require("Traceback" not in log.read_text(errors="replace"), _tracebacks(log))
    with tally.recovering():
        _finish(tally, command(directory, config, topic, "--once", *_CHUNK))
        for copy, options in zip(copies, received):
            _finish(tally, downloading.command(copy, config, topic, "--once", *options))
        table = directory / "LOGS" / f"released_from_{topic}.csv"
        for _ in range(_KILLS_AT_THE_END):
            tally.times += _kill_while_it_removes(_Program(release, log), table, scene.random.uniform(0.0, 1.0))
        _finish(tally, release)
    thinner.is_asked_to_end = True
    thinner.join()
    _check(tally, writer, directory, topic, _receipts(scene.kafka.bootstrap, receipts, topic))


def _kill_while_it_removes(program: _Program, table: Path, delay_s: float) -> bool:
    """Kill a release so long after it has begun to remove; return whether it had not ended yet.

    With a million files and their receipts to be looked at first, most of the kills before came too early.
    """
    before = table.stat().st_size if table.exists() else 0
    program.keep_running()
    while program.is_running and (not table.exists() or table.stat().st_size <= before):
        time.sleep(0.01)
    time.sleep(delay_s)
    return program.kill()


def _finish(tally: Tally, words: Sequence[str]) -> None:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TO_FINISH_S, check=False
    )
    tally.require(not done.returncode, f"{words[3]} ended with {done.returncode}: {done.stderr[-1_000:]}")


def _check(
    tally: Tally, writer: _Writer, directory: Path, topic: str, received: dict[str, dict[str, float]]
) -> None:
    """Check what has gone, and what is left."""
    left = {_digest_of(path): path for path in _files_in(directory)}
    nowhere: dict[str, float] = {}
    both = set.intersection(*(set(received.get(name, nowhere)) for name in _RECEIVERS))
    gone = writer.written - writer.overwritten - left.keys()
    tally.files += len(writer.written)
    tally.lost += len(gone - both)
    tally.require(not gone - both, f"{len(gone - both):,} files were deleted without both receipts")
    n_released = n_early = 0
    with open(directory / "LOGS" / f"released_from_{topic}.csv", encoding="utf-8", newline="") as lines:
        for row in read_released(lines):
            if row.state == RELEASED:
                n_released += 1
                times = [received.get(name, nowhere).get(row.xxh3_128, float("inf")) for name in _RECEIVERS]
                n_early += max(times) > datetime.fromisoformat(row.time).timestamp() + _CLOCK_S
    tally.require(not n_early, f"{n_early:,} files were deleted before both receipts were there")
    deletable = [path for digest, path in left.items() if digest in both]
    tally.require(not deletable, f"{len(deletable):,} files could be deleted and were not: {deletable[:3]}")
    private = [path for path in left.values() if path.name.startswith(".dfud-releasing.")]
    tally.require(not private, f"{len(private):,} files have their private names still")
    tally.remark = (
        f"{n_released:,} deleted, {len(writer.overwritten):,} rewritten, {len(left):,} left that no receiver has"
    )


class _Program:
    """A program that is started again whenever it has ended, and its output."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._words = words
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start it unless it is running."""
        if not self.is_running:
            with open(self._log, "ab") as log:
                self._process = subprocess.Popen(
                    self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> bool:
        """Kill it, or all of its processes at once; return whether it was running."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        if process.pid % 2:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


class _Writer(threading.Thread):
    """Writes files, and writes some of them anew: in place, with their times put back, or by exchange."""

    def __init__(self, seed: int, directory: Path, n_files: int, n_large: int) -> None:
        super().__init__()
        self.written: set[str] = set()  # digests of all that was written
        self.overwritten: set[str] = set()  # of these, by this program
        self.large_files: list[Path] = []  # below the directory
        self.n_written = 0  # files that are new
        self.n_allowed = 0  # of them, that may be written until now
        self.is_asked_to_end = False
        self._random = random.Random(seed)
        self._top = directory
        self._n_files = n_files
        self._large = set(self._random.sample(range(n_files), n_large))
        self._last: dict[Path, str] = {}  # what this program knows of each file
        self._renameat2 = ctypes.CDLL(None).renameat2
        self._n = 0

    def run(self) -> None:
        """Write all files, in folders of a thousand."""
        self._own = self._top / ".own"
        self._own.mkdir()
        paths: list[Path] = []
        for number in range(self._n_files):
            while number >= self.n_allowed:
                if self.is_asked_to_end:
                    return
                time.sleep(0.01)
            path = self._top / f"run{number // _PER_FOLDER}" / f"f{number}"
            path.parent.mkdir(exist_ok=True)
            self._create(path, self._make(self._own / "new", number in self._large))
            paths.append(path)
            self.n_written = number + 1
            if number in self._large:
                self.large_files.append(path.relative_to(self._top))
            if self._random.random() < _SHARE_REWRITTEN:
                path = self._random.choice(paths[-_PER_FOLDER:])
                (self._rewrite if self._random.random() < 0.6 else self._exchange)(path)

    def _content(self) -> bytes:
        self._n += 1
        return b"%012d " % self._n + self._random.randbytes(self._random.randint(0, 2_000))

    def _make(self, path: Path, is_large: bool = False) -> str:
        """Make a file, and return its digest."""
        with open(path, "wb") as file:
            file.write(self._content())
            if is_large:
                file.truncate(_LARGE_BYTES)
        return _digest_of(path)

    def _create(self, path: Path, digest: str) -> None:
        self.written.add(digest)
        self._last[path] = digest
        os.rename(self._own / "new", path)

    def _rewrite(self, path: Path) -> None:
        """Write into a file that is there, and perhaps put back its time."""
        with contextlib.suppress(FileNotFoundError), open(path, "r+b") as file:  # or it has gone, or is about to
            status = os.fstat(file.fileno())
            os.pwrite(file.fileno(), self._content()[: status.st_size], 0)
            if self._random.random() < 0.5:
                os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            digest = _digest_of(Path("/proc/self/fd", str(file.fileno())))
            if os.fstat(file.fileno()).st_nlink:  # or it was deleted before it was opened
                self._overwrite(path, digest)

    def _exchange(self, path: Path) -> None:
        """Put another file in the place of one that is there."""
        new = self._own / "new"
        digest = self._make(new)
        if self._renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE):
            return  # it has gone
        self._overwrite(path, digest)
        new.unlink()

    def _overwrite(self, path: Path, digest: str) -> None:
        self.written.add(digest)
        self.overwritten.add(self._last[path])
        self._last[path] = digest


class _Thinner(threading.Thread):
    """Makes holes again of the zeros that the receivers have written: content and time of a file stay."""

    def __init__(self, copies: Sequence[Path], large_files: Sequence[Path]) -> None:
        super().__init__(daemon=True)
        self.is_asked_to_end = False
        self._copies = copies
        self._large_files = large_files  # grows meanwhile
        self._fallocate = ctypes.CDLL(None, use_errno=True).fallocate
        self._fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

    def run(self) -> None:
        """Look at all large files that are in their places, again and again."""
        while not self.is_asked_to_end:
            for name in list(self._large_files):
                for copy in self._copies:
                    with contextlib.suppress(FileNotFoundError):
                        self._make_sparse(copy / name)
            time.sleep(_BETWEEN_HOLES_S)

    def _make_sparse(self, path: Path) -> None:
        status = path.stat()
        if status.st_size != _LARGE_BYTES or status.st_blocks * 512 <= 2 * _PAGE:
            return
        with open(path, "r+b") as file:
            status = os.fstat(file.fileno())
            if status.st_size != _LARGE_BYTES:
                return
            if self._fallocate(file.fileno(), _PUNCH_HOLE | _KEEP_SIZE, _PAGE, _LARGE_BYTES - _PAGE):
                raise OSError(ctypes.get_errno(), f"no hole could be made in {path}")
            os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _files_in(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        if folder == str(directory):
            folders[:] = [name for name in folders if name not in ("LOGS", ".own")]
        yield from (Path(folder, name) for name in names)


def _digest_of(path: Path) -> str:
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _receipts(bootstrap: str, topic: str, source: str) -> dict[str, dict[str, float]]:
    """Return when the first receipt of each digest came (s since 1970), by receiver."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    found: dict[str, dict[str, float]] = {}
    with contextlib.closing(consumer):
        for number in consumer.list_topics(topic, _READ_TIMEOUT_S).topics[topic].partitions:
            low, end = consumer.get_watermark_offsets(TopicPartition(topic, number), _READ_TIMEOUT_S)
            consumer.assign([TopicPartition(topic, number, low)])
            while low < end:
                for message in consumer.consume(1_000, 1.0):
                    assert message.error() is None, message.error()
                    low = (message.offset() or 0) + 1
                    fields = json.loads(message.value() or b"{}")
                    if fields.get("topic") == source:
                        digests = found.setdefault(fields["receiver"], {})
                        digests.setdefault(fields["xxh3_128"], message.timestamp()[1] / 1000)
    return found


def _tracebacks(log: Path) -> str:
    text = log.read_text(errors="replace")
    return text[max(0, text.find("Traceback") - 200) :][:3_000]


FAULTS = [
    Fault("kill -9 of uploads, receivers, releases while files are rewritten", kill_while_releasing, times=60)
]
