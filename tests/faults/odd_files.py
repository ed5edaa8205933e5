"""Files with odd names, of odd kinds, in odd places, of odd sizes and times."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, in_progress, tree, upload_once, uploading, wait_until

_TERABYTE = 10**12
_MAX_MEMORY = 900_000_000  # bytes of all processes; the default queues may take 625 MB
_TIMES_NS = (
    -1, -(10**18), 0, 1, 2**31 * 10**9, 2**33 * 10**9, 4 * 10**18,
)  # fmt: skip


def make_other_kinds(scene: Scene, tally: Tally, times: int) -> None:
    """Create links and other kinds of files: links to files are uploaded, everything else is not."""
    for _ in range(times):
        directory, topic, outside = scene.directory(), scene.topic(), scene.directory()
        scene.fill(outside, 3, 50_000, "outside")
        with uploading(directory, scene.config(), topic, "--follow_links") as upload:
            os.mkfifo(directory / "fifo")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(directory / "socket"))
            if os.geteuid() == 0:
                os.mknod(directory / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero has no end
            (directory / "folder").mkdir()
            scene.fill(directory / "folder", 3, 50_000)
            (directory / "to a file").symlink_to(outside / "outside0")
            (directory / "to a link").symlink_to("to a file")
            (directory / "to a folder").symlink_to(outside)
            (directory / "to a folder here").symlink_to("folder")
            (directory / "to itself").symlink_to("to itself")
            (directory / "folder" / "up").symlink_to("..")
            (directory / "to nowhere").symlink_to("nowhere")
            (directory / "to a fifo").symlink_to("fifo")
            (directory / "to a device").symlink_to("/dev/zero")
            os.link(directory / "folder" / "file0", directory / "hard link")
            os.link(outside / "outside1", directory / "hard link from outside")
            tally.times += 1
            with tally.recovering():
                upload.quit()
        upload_once(directory, scene.config(), topic, "--follow_links")  # a scan must find the same files
        on_topic = scene.check(tally, directory, topic)
        more = on_topic.keys() - tree(directory).keys()
        tally.require(not more, f"{more} are not files")


def make_odd_names(scene: Scene, tally: Tally, times: int) -> None:
    """Give files and folders names that contain every byte, and names of 255 bytes."""
    every = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    names = [bytes([byte]) for byte in every if byte != ord(".")]
    names += [bytes([byte]) * 255 for byte in b"n\xff\n\",\r '"] + [every[:127], every[127:]]
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic) as upload:
            for name in names:
                folder = os.fsencode(directory) + b"/f" + name[:254]
                os.mkdir(folder)
                for path in (os.path.join(folder, name), os.fsencode(directory) + b"/" + name):
                    Path(os.fsdecode(path)).write_bytes(scene.random.randbytes(100))
            tally.times += 1
            with tally.recovering():
                upload.quit()
        upload_once(directory, scene.config(), topic)
        on_topic = scene.check(tally, directory, topic)
        tally.require(
            on_topic.keys() == tree(directory).keys(), "the topic and the directory have different names"
        )


def go_deep(scene: Scene, tally: Tally, times: int) -> None:
    """Nest folders so that paths are longer than PATH_MAX (4,096 bytes), which most programs cannot open."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        expected = {}
        with uploading(directory, scene.config(), topic) as upload, _removed_by_rm(directory):
            here, path = os.open(directory, os.O_RDONLY), b""
            for level in range(500):
                name = b"%03d" % level + b"d" * scene.random.randint(10, 40)
                os.mkdir(name, dir_fd=here)
                deeper = os.open(name, os.O_RDONLY, dir_fd=here)
                os.close(here)
                here, path = deeper, path + name + b"/"
                if level % 100 == 99:
                    content = scene.random.randbytes(40_000)
                    with open(os.open(b"file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
                        file.write(content)
                    expected[path + b"file"] = content
            os.close(here)
            tally.times += 1
            with tally.recovering():
                upload.quit()
            upload_once(directory, scene.config(), topic)
        tally.check(expected, scene.on_topic(topic))


@contextmanager
def _removed_by_rm(directory: Path) -> Iterator[None]:
    """Remove a directory that is too deep for shutil."""
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", directory], check=True)


def fill_folder(scene: Scene, tally: Tally, times: int) -> None:
    """Write 100,000 files into one folder."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic) as upload:
            for number in range(100_000):
                (directory / f"{number}").write_bytes(b"%d" % number)
            tally.times += 1
            with tally.recovering():
                upload.say("quit")
                status, text = upload.end(300)
        tally.require(status == 0, text)
        on_topic = scene.check(tally, directory, topic)
        tally.require_no_repeats(on_topic)


def make_terabyte(scene: Scene, tally: Tally, times: int) -> None:
    """Upload a sparse file of a terabyte: it starts, memory stays flat, and a kill loses nothing."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        try:
            with (directory / "sparse").open("wb") as file:
                file.truncate(_TERABYTE)
        except OSError as error:
            raise UnavailableError(
                f"the file system does not support files of a terabyte: {error.strerror}"
            ) from None
        compressed = scene.config(compression_type="zstd")  # or the topic would fill the disk
        with uploading(directory, compressed, topic, "--upload_existing", "--chunk_size", 2**19) as upload:
            tally.times += 1
            (directory / "small").write_bytes(b"not held up by it")
            upload.wait_for("small: 1 chunk acknowledged")
            first = _memory_after(upload, directory, topic, 500)
            last = _memory_after(upload, directory, topic, 2000)
            tally.require(last < _MAX_MEMORY, f"memory grew from {first:,} to {last:,} bytes")
            upload.kill()
        on_topic = scene.on_topic(topic)
        tally.check_recorded(directory, topic, on_topic)
        tally.files += 2
        tally.chunks += sum(len(version.chunks) for versions in on_topic.values() for version in versions.values())


def _memory_after(upload: Upload, directory: Path, topic: str, chunks: int) -> int:
    """Return the memory in use (bytes) once so many chunks have been delivered."""
    wait_until(lambda: _delivered(directory, topic) >= chunks)
    return _memory(upload)


def _delivered(directory: Path, topic: str) -> int:
    return sum(int(row["n_chunks_delivered"]) for row in in_progress(directory, topic))


def _memory(upload: Upload) -> int:
    """Return the memory of all workers (bytes), without what they share."""
    return sum(worker.memory_info().rss - worker.memory_info().shared for worker in upload.workers().values())


def set_odd_times(scene: Scene, tally: Tally, times: int) -> None:
    """Give files mtimes in the future, before 1970, and at the limits of file systems."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic) as upload:
            for number, time_ns in enumerate(_TIMES_NS):
                with (directory / f"file{number}").open("wb") as file:
                    file.write(scene.random.randbytes(40_000))
                    file.flush()
                    os.utime(file.fileno(), ns=(time_ns, time_ns))
            tally.times += 1
            with tally.recovering():
                upload.quit()
        upload_once(directory, scene.config(), topic)
        on_topic = scene.check(tally, directory, topic)
        for path, versions in on_topic.items():
            expected = (directory / os.fsdecode(path)).stat().st_mtime_ns
            times_ns = [version.mtime_ns for version in versions.values()]
            tally.require(times_ns == [expected], f"{path!r} has the times {times_ns} and not {expected}")


FAULTS = [
    Fault("FIFOs, sockets, devices and links of all kinds", make_other_kinds, times=3, quick=1),
    Fault("names of every byte, and of 255 bytes", make_odd_names, times=1, quick=1),
    Fault("folders 500 deep, paths beyond PATH_MAX", go_deep, times=3, quick=1),
    Fault("100,000 files in one folder", fill_folder, times=1),
    Fault("a sparse file of a terabyte", make_terabyte, times=1),
    Fault("times before 1970 and in the future", set_odd_times, times=1, quick=1),
]
