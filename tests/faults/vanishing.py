"""Folders that are moved, removed or unmounted during their upload."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

from tests.faults.mounting import tmpfs, unmount
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import Upload, tree, uploading

_GONE = "has been removed, renamed, unmounted or replaced: uploading what can still be read"


def rename_folder(scene: Scene, tally: Tally, times: int) -> None:
    """Rename a folder while its files are uploaded: they are uploaded under their new paths."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.slow_config(), topic, "--queue_max_size", "4") as upload:
            before = directory / "before" / "deeper"
            before.mkdir(parents=True)
            scene.fill(before, 6, 4_000_000)
            upload.wait_for("broken into")
            time.sleep(scene.random.uniform(0.0, 0.5))  # the fault has to strike at a random instant
            (directory / "before").rename(directory / "after")
            tally.times += 1
            scene.fill(directory / "after" / "deeper", 3, 50_000, "later")
            with tally.recovering():
                upload.say("quit")
                status, text = upload.end()
        lost = [line for line in text.splitlines() if " not delivered: " in line]
        named = all("before/deeper/file" in line for line in lost)
        tally.require(status == (1 if lost else 0) and named, text)
        tally.check(tree(directory), scene.on_topic(topic))


def move_trees(scene: Scene, tally: Tally, times: int) -> None:
    """Move a tree in and out repeatedly, while files are written into it."""
    directory, topic, outside = scene.directory(), scene.topic(), scene.directory()
    inside, away = directory / "tree", outside / "tree"
    (away / "a" / "b").mkdir(parents=True)
    scene.fill(away / "a" / "b", 20, 20_000)
    with uploading(directory, scene.config(), topic) as upload:
        for number in range(times):
            away.rename(inside)
            (inside / "a" / f"written{number}").write_bytes(scene.random.randbytes(1_000))
            (inside / f"made{number}" / "x").mkdir(parents=True)
            (inside / f"made{number}" / "x" / "file").write_bytes(scene.random.randbytes(1_000))
            if number < times - 1:
                inside.rename(away)
                (away / "a" / f"outside{number}").write_bytes(scene.random.randbytes(1_000))
            tally.times += 1
        with tally.recovering():
            upload.quit()
    scene.check(tally, directory, topic)


def kill_after_moving_in(scene: Scene, tally: Tally, times: int) -> None:
    """Move a tree in, write into it, and kill the program long before everything is sent.

    By their times, the files could have been there before the start: only the event of the move says otherwise.
    """
    for _ in range(times):
        directory, topic, outside = scene.directory(), scene.topic(), scene.directory()
        for name in ("came", "stayed"):
            (outside / name / "sub").mkdir(parents=True)
            scene.fill(outside / name / "sub", 50, 1_000)
        scene.fill(outside / "came" / "sub", 8_000, 20, "small")  # more than are in progress at a time
        (outside / "stayed").rename(directory / "stayed")
        old = tree(directory)
        with uploading(directory, scene.slow_config(), topic) as upload:
            (outside / "came").rename(directory / "came")
            for name in ("came", "stayed"):
                (directory / name / "written").write_bytes(scene.random.randbytes(1_000))
            upload.wait_for(": 1 chunk acknowledged")
            upload.kill()
            tally.times += 1
        with tally.recovering(), uploading(directory, scene.config(), topic) as upload:
            upload.quit()
        on_topic = scene.on_topic(topic)
        tally.check({path: content for path, content in tree(directory).items() if path not in old}, on_topic)
        tally.require(not old.keys() & on_topic.keys(), "files were sent that had been there before the start")


def remove_directory(scene: Scene, tally: Tally, times: int) -> None:
    """Remove the directory with its LOGS."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic) as upload:
            scene.fill(directory, 5, 50_000)
            for _ in range(5):
                upload.wait_for(": (all . chunks|1 chunk) acknowledged")
            delivered = tree(directory)
            _remove(directory)
            tally.times += 1
            _check_reported(tally, upload)
        tally.check(delivered, scene.on_topic(topic))


def _remove(directory: Path) -> None:
    """Remove a directory, again if a file was made in it meanwhile."""
    while True:
        try:
            shutil.rmtree(directory)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise


def unmount_directory(scene: Scene, tally: Tally, times: int) -> None:
    """Unmount the directory during an upload (lazily: open files stay usable)."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with tmpfs(directory, 64):
            with uploading(directory, scene.config(), topic) as upload:
                scene.fill(directory, 5, 50_000)
                for _ in range(5):
                    upload.wait_for(": (all . chunks|1 chunk) acknowledged")
                delivered = tree(directory)
                unmount(directory)
                tally.times += 1
                _check_reported(tally, upload)
        tally.check(delivered, scene.on_topic(topic))


def _check_reported(tally: Tally, upload: Upload) -> None:
    """Check that the program reports that its directory is gone, and exits with 1."""
    with tally.recovering():
        status, text = upload.end()
    tally.require(_GONE in text, text)
    tally.require(status == 1, f"it exited with {status}: {text}")
    tally.require("Traceback" not in text, text)


FAULTS = [
    Fault("a folder is renamed while it is uploaded", rename_folder, times=10, quick=1),
    Fault("a tree is moved in and out", move_trees, times=200, quick=20),
    Fault("kill -9 after a tree was moved in and changed", kill_after_moving_in, times=10, quick=1),
    Fault("the directory is removed", remove_directory, times=3, quick=1),
    Fault("the directory is unmounted", unmount_directory, times=3),
]
