"""Files that change at every stage of their upload."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.reader import read_topic
from tests.helpers.uploading import Upload, tree, uploading

# With CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, root may read everything: capabilities(7).
NO_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

_SIZE = 16_000_000
_VICTIM = b"victim"
_LANES = 2  # the default of --n_threads


class Change:
    """Ways to change a file, and the contents that it has had, any of which may be on the topic."""

    def __init__(self, scene: Scene, path: Path) -> None:
        self.random, self.path = scene.random, path
        self.contents = {path.read_bytes()}
        self.content = next(iter(self.contents))

    def _record(self, content: bytes) -> None:
        self.content = content
        self.contents.add(content)

    def truncate(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(_SIZE // 3)
        self._record(self.content[: _SIZE // 3])

    def grow(self) -> None:
        more = self.random.randbytes(1_000_000)
        with self.path.open("ab") as file:
            file.write(more)
        self._record(self.content + more)

    def rewrite(self) -> None:
        """Overwrite the file with other bytes, in two steps with a pause in between."""
        other, half = self.random.randbytes(len(self.content)), len(self.content) // 2
        with self.path.open("r+b", buffering=0) as file:
            file.write(other[:half])
            self._record(other[:half] + self.content[half:])
            time.sleep(self.random.uniform(0, 0.1))
            file.write(other[half:])
        self._record(other)

    def replace(self) -> None:
        other = self.random.randbytes(len(self.content))
        beside = self.path.with_name(".beside")
        beside.write_bytes(other)
        beside.replace(self.path)
        self._record(other)

    def rename(self) -> None:
        self.path.rename(self.path.with_name("renamed"))

    def remove(self) -> None:
        self.path.unlink()


def _cause(change: Callable[[Change], None]) -> Callable[[Scene, Tally, int], None]:
    """Return a fault that changes a file in this way: before, while and after it is read."""

    def cause(scene: Scene, tally: Tally, times: int) -> None:
        for number in range(times):
            directory, topic = scene.directory(), scene.topic()
            victim = directory / os.fsdecode(_VICTIM)
            with uploading(directory, scene.slow_config(), topic, "--queue_max_size", "4") as upload:
                early = number % 3 == 0
                with _stopped(upload, "chunker") if early else _nothing():
                    victim.write_bytes(scene.random.randbytes(_SIZE))
                    changing = Change(scene, victim)
                    scene.fill(directory, 1, 1_000_000, "bystander")
                    upload.wait_for("victim: broken into")
                    if not early:
                        time.sleep(scene.random.uniform(0.0, 0.6))  # the fault has to strike at a random instant
                    change(changing)
                    tally.times += 1
                with tally.recovering():
                    upload.say("quit")
                    status, text = upload.end()
            reported = status == 1 and "victim not delivered: " in text and not victim.exists()
            tally.require(status == 0 or reported, f"{status}: {text}")
            on_topic = scene.on_topic(topic)
            expected = tree(directory)
            tally.check(expected, on_topic)
            written = {path: {content} for path, content in expected.items()}
            written[_VICTIM] = changing.contents
            tally.check_versions(written, on_topic)

    return cause


@contextmanager
def _stopped(upload: Upload, kind: str) -> Iterator[None]:
    """Stop all workers of a kind for the duration of the block."""
    workers = [upload.wait_for_worker(f"{kind}-{lane}") for lane in range(_LANES)]  # they name themselves late
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    yield
    for worker in workers:
        worker.send_signal(signal.SIGCONT)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def keep_time(scene: Scene, tally: Tally, times: int) -> None:
    """Rewrite a file and restore its mtime: the upload id is the same, and the later chunks count."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        path = directory / "file"
        with uploading(directory, scene.config(), topic) as upload:
            path.write_bytes(scene.random.randbytes(100_000))
            upload.wait_for("file: all 7 chunks")
            before = path.stat()
            content = scene.random.randbytes(100_000)
            with path.open("r+b") as file:
                file.write(content)
                file.flush()
                os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
            tally.times += 1
            with tally.recovering():
                upload.quit()
        tally.files += 1
        tally.chunks += 7
        chunks: dict[int, bytes] = {}
        digest = b""
        for message in read_topic(scene.kafka.bootstrap, topic):
            chunks[int(message.headers["chunk"].partition(b"/")[0])] = message.value or b""
            digest = message.headers.get("xxh3_128", digest)
        there = b"".join(chunks[number] for number in sorted(chunks))
        if there != content:
            tally.lost += 7
            tally.complain("the file's new content is not on the topic")
        tally.require(digest.decode() == xxhash.xxh3_128_hexdigest(content), "the digest does not match the bytes")


def forbid(scene: Scene, tally: Tally, times: int) -> None:
    """Revoke the right to read a file before it is read, then restore it."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic, by=NO_PRIVILEGE) as upload:
            with _stopped(upload, "chunker"):
                scene.fill(directory, 5, 100_000)
                upload.wait_for("broken into")
                victim = directory / "file2"
                victim.chmod(0)
                tally.times += 1
            upload.wait_for("cannot read file2: Permission denied; retrying")
            victim.chmod(0o644)
            with tally.recovering():
                upload.wait_for("file2: all")
            upload.quit()
        scene.check(tally, directory, topic)


def forbid_for_good(scene: Scene, tally: Tally, times: int) -> None:
    """Revoke the right to read a file for good: it is reported, the others are delivered, the next run tries."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 5, 100_000)
        victim = directory / "file2"
        victim.chmod(0)
        with uploading(directory, scene.config(), topic, "--upload_existing", by=NO_PRIVILEGE) as upload:
            upload.wait_for("cannot read file2: Permission denied; retrying")
            tally.times += 1
            upload.say("quit")
            status, text = upload.end()
        tally.require(status == 1 and "file2 not delivered: Permission denied" in text, text)
        others = {path: content for path, content in tree(directory).items() if path != b"file2"}
        tally.check(others, scene.on_topic(topic))
        victim.chmod(0o644)
        with tally.recovering(), uploading(directory, scene.config(), topic, by=NO_PRIVILEGE) as upload:
            upload.quit()
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("a file is truncated before, while or after it is read", _cause(Change.truncate), times=12),
    Fault("a file grows", _cause(Change.grow), times=12),
    Fault("a file is rewritten in place", _cause(Change.rewrite), times=24, quick=2),
    Fault("a file is replaced", _cause(Change.replace), times=12, quick=1),
    Fault("a file is renamed", _cause(Change.rename), times=12, quick=1),
    Fault("a file is removed", _cause(Change.remove), times=12, quick=1),
    Fault("a file is rewritten and keeps its mtime", keep_time, times=5, quick=1),
    Fault("a file is unreadable for a while", forbid, times=3, quick=1),
    Fault("a file stays unreadable", forbid_for_good, times=3, quick=1),
]
