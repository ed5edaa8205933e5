"""Other file systems as the directory and below it: FUSE, written to behind dfud's back, NTFS and exFAT."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.faults.mounting import fuse, loop_device
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import WAIT_S, completed, tree, upload_once, uploading, wait_until
from tests.helpers.verifying import verify

Mounting = Callable[[Scene, Path, Path], AbstractContextManager[None]]  # of what is in one folder, at another
POLLED = "file systems do not report all changes: polling, too"
_OLD_NS = 1_500_000_000 * 10**9  # since 1970


def _bindfs(scene: Scene, below: Path, where: Path) -> AbstractContextManager[None]:
    return fuse(where, "bindfs", below)


def _mergerfs(scene: Scene, below: Path, where: Path) -> AbstractContextManager[None]:
    return fuse(where, "mergerfs", "-o", "category.create=ff", f"{below}:{scene.directory()}")


def upload_mount(mounting: Mounting, scene: Scene, tally: Tally, times: int) -> None:
    """Upload a mounted directory, whose files are written where they really are."""
    for _ in range(times):
        below, directory, topic, config = scene.directory(), scene.directory(), scene.topic(), scene.config()
        with mounting(scene, below, directory):
            with uploading(directory, config, topic) as upload:
                scene.fill(directory, 5, 50_000, "above")
                tally.times += 1
                _write(scene, below)
                with tally.recovering():
                    wait_until_versions_recorded(directory, topic)
                _rewrite(scene, below)
                with tally.recovering():
                    wait_until_versions_recorded(directory, topic)
                text = upload.quit()
            tally.require(text.count(POLLED) == 1, text)
            _check(scene, tally, directory, config, topic)


def mount_below(mounting: Mounting, scene: Scene, tally: Tally, times: int) -> None:
    """Mount below a directory that is watched, and write where the files really are."""
    for _ in range(times):
        below, directory, topic, config = scene.directory(), scene.directory(), scene.topic(), scene.config()
        where = directory / "instrument"
        where.mkdir()
        scene.fill(below, 5, 50_000, "before")
        with uploading(directory, config, topic) as upload, mounting(scene, below, where):
            tally.times += 1
            upload.wait_for(f"instrument: fuse.* {POLLED}")
            scene.fill(directory, 5, 50_000, "beside")
            _write(scene, below)
            with tally.recovering():
                wait_until_versions_recorded(directory, topic)
            _rewrite(scene, below)
            with tally.recovering():
                wait_until_versions_recorded(directory, topic)
            upload.quit()
            _check(scene, tally, directory, config, topic)


def _write(scene: Scene, below: Path) -> None:
    (below / "scan" / "deep").mkdir(parents=True)
    scene.fill(below, 10, 50_000)
    scene.fill(below / "scan" / "deep", 10, 50_000)


def _rewrite(scene: Scene, below: Path) -> None:
    """Replace a file, rewrite another one and remove a third."""
    new = below.parent / "new"
    new.write_bytes(scene.random.randbytes(60_000))
    new.rename(below / "file0")
    (below / "scan" / "deep" / "file1").write_bytes(scene.random.randbytes(60_000))
    (below / "file2").unlink()


def no_case(scene: Scene, tally: Tally, times: int) -> None:
    """Upload from an NTFS that ignores case, with a folder ``Logs``: it is LOGS, and nothing in it is sent."""
    for number in range(times):
        with _ntfs(scene) as directory:
            topic, config = scene.topic(), scene.config()
            (directory / "Logs").mkdir()
            scene.fill(directory, 10, 50_000)
            tally.times += 1
            if number % 2 == 0:
                with tally.recovering():
                    upload_once(directory, config, topic)
            else:
                with uploading(directory, config, topic, "--upload_existing", "--use_polling_observer") as upload:
                    with tally.recovering():
                        wait_until_versions_recorded(directory, topic)
                    upload.quit()
            upload_once(directory, config, topic)
            tally.require_no_repeats(scene.on_topic(topic))
            _check(scene, tally, directory, config, topic)


def copy_after_kill(scene: Scene, tally: Tally, times: int) -> None:
    """Kill an upload from an exFAT, copy old files in and start again: they are sent."""
    for _ in range(times):
        with _exfat(scene) as directory:
            topic, config = scene.topic(), scene.config()
            with uploading(directory, config, topic) as upload:
                scene.fill(directory, 10, 50_000, "before")
                wait_until_versions_recorded(directory, topic)
                upload.kill()
            tally.times += 1
            old = scene.directory()
            scene.fill(old, 5, 50_000)
            for path in old.iterdir():
                os.utime(path, ns=(_OLD_NS, _OLD_NS))
                shutil.copy2(path, directory)
            with tally.recovering(), uploading(directory, config, topic) as upload:
                upload.quit()
            tally.require_no_repeats(scene.on_topic(topic))
            _check(scene, tally, directory, config, topic)


@contextmanager
def _ntfs(scene: Scene) -> Iterator[Path]:
    """Mount an empty NTFS that ignores case. Raises UnavailableError."""
    where = scene.directory()
    with loop_device(scene.path("disk"), 64, "mkntfs", "--quick", "--quiet") as device:
        with fuse(where, "lowntfs-3g", "-o", "ignore_case", device):
            yield where


@contextmanager
def _exfat(scene: Scene) -> Iterator[Path]:
    """Mount an empty exFAT, by a driver in user space. Raises UnavailableError."""
    where = scene.directory()
    with loop_device(scene.path("disk"), 64, "mkfs.exfat") as device:
        with fuse(where, "mount.exfat-fuse", device):
            yield where


def wait_until_versions_recorded(directory: Path, topic: str, seconds: float = WAIT_S) -> None:
    """Wait until the completed tables have every file with its present size and time."""
    wait_until(lambda: _versions(directory) <= _recorded(directory, topic), seconds)


def _versions(directory: Path) -> set[tuple[str, ...]]:
    names = [os.fsdecode(path) for path in _files(directory)]
    statuses = [(directory / name).stat() for name in names]
    return {(name, str(status.st_size), str(status.st_mtime_ns)) for name, status in zip(names, statuses)}


def _recorded(directory: Path, topic: str) -> set[tuple[str, ...]]:
    return {(row["rel_filepath"], row["size"], row["mtime_ns"]) for row in completed(directory, topic)}


def _files(directory: Path) -> dict[bytes, bytes]:
    """Return the contents of all files that are to be uploaded, however LOGS is spelled."""
    return {path: data for path, data in tree(directory).items() if not path.upper().startswith(b"LOGS/")}


def _check(scene: Scene, tally: Tally, directory: Path, config: Path, topic: str) -> None:
    expected, on_topic = _files(directory), scene.on_topic(topic)
    tally.check(expected, on_topic)
    for path in on_topic:
        tally.require(not path.upper().startswith(b"LOGS/"), f"{path!r} was uploaded")
    status, text = verify(directory, config, topic)
    tally.require(status == 0, f"verify exited with {status}: {text}")


FAULTS = [
    Fault("a bindfs is uploaded", partial(upload_mount, _bindfs), times=2, quick=1),
    Fault("a bindfs is mounted below the directory", partial(mount_below, _bindfs), times=2, quick=1),
    Fault("a mergerfs is uploaded", partial(upload_mount, _mergerfs), times=2),
    Fault("a mergerfs is mounted below the directory", partial(mount_below, _mergerfs), times=2),
    Fault("an NTFS without case has a folder Logs", no_case, times=4, quick=2),
    Fault("old files are copied to an exFAT after a kill -9", copy_after_kill, times=2, quick=1),
]
