"""Disks that are full, read-only or broken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.faults.changing import NO_PRIVILEGE
from tests.faults.mounting import Disk, tmpfs
from tests.faults.scene import Fault, Scene, Skipped
from tests.faults.tally import Tally
from tests.helpers.uploading import Upload, command, completed, tree, upload_once, uploading

_NOBODY = 65534


def fill_logs(scene: Scene, tally: Tally, times: int) -> None:
    """Leave no room for LOGS, and make room again: all goes on, and in the end all is recorded."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        (directory / "LOGS").mkdir()
        with tmpfs(directory / "LOGS", 1):
            with uploading(directory, scene.config(), topic) as upload:
                ballast = directory / "LOGS" / "ballast"
                _fill_up(ballast)
                tally.times += 1
                scene.fill(directory, 100, 20_000)
                upload.wait_for("cannot write the completed table.*No space left")
                scene.fill(directory, 20, 20_000, "later")
                ballast.unlink()
                with tally.recovering():
                    upload.wait_for("writing the completed table works again")
                upload.quit()
            scene.check(tally, directory, topic)
            tally.require(len(completed(directory, topic)) == 120, "not each file has its row")
            upload_once(directory, scene.config(), topic)
            _check_none_twice(scene, tally, topic)


def fill_logs_for_good(scene: Scene, tally: Tally, times: int) -> None:
    """Leave no room for LOGS to the end: it ends with 1, and the next start sends what is not recorded."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        (directory / "LOGS").mkdir()
        with tmpfs(directory / "LOGS", 1):
            with uploading(directory, scene.config(), topic) as upload:
                ballast = directory / "LOGS" / "ballast"
                _fill_up(ballast)
                tally.times += 1
                scene.fill(directory, 100, 20_000)
                upload.wait_for("cannot write the completed table.*No space left")
                upload.say("quit")
                status, text = upload.end()
            tally.require(status == 1 and "some tables could not be written" in text, text)
            tally.require("Traceback" not in text, text)
            upload = Upload(command(directory, scene.config(), topic, "--once"))  # there is no room at its start
            try:
                status, text = upload.end()
            finally:
                upload.close()
            tally.require(status in (1, 2) and "No space left" in text and "Traceback" not in text, text)
            ballast.unlink()
            with tally.recovering(), uploading(directory, scene.config(), topic) as upload:
                upload.quit()
            scene.check(tally, directory, topic)
            tally.require(len(completed(directory, topic)) >= 100, "not each file has its row")


def _fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _check_none_twice(scene: Scene, tally: Tally, topic: str) -> None:
    on_topic = scene.on_topic(topic)
    repeated = sum(version.duplicates for versions in on_topic.values() for version in versions.values())
    tally.require(not repeated, f"{repeated} chunks were sent twice")


def turn_read_only(scene: Scene, tally: Tally, times: int) -> None:
    """Have the disk turn read-only at work, as ext4 does after an error; repair it, and start again."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        disk = Disk(scene.path("disk"), directory, 64)
        try:
            with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
                scene.fill(directory, 4, 4_000_000)
                subprocess.run(["sync", "--file-system", directory], check=True)
                disk.turn_read_only()
                tally.times += 1
                upload.wait_for("table can(not|'t) be written")
                upload.say("quit")
                status, text = upload.end()
            tally.require(status == 1 and "some tables could not be written" in text, text)
            tally.require("Traceback" not in text, text)
            tally.check(tree(directory), scene.on_topic(topic))
            text = upload_once(directory, scene.config(), topic, status=2)
            tally.require("Read-only file system" in text and len(text.splitlines()) == 1, text)
            disk.repair()
            with tally.recovering(), uploading(directory, scene.config(), topic) as upload:
                upload.quit()
            scene.check(tally, directory, topic)
        finally:
            disk.unmount()


def break_disk(scene: Scene, tally: Tally, times: int) -> None:
    """Have a file on a disk that does not give some of its blocks for a while (EIO); the others are delivered."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        image = scene.path("disk")
        disk = Disk(image, directory, 64)
        try:
            (directory / "LOGS").mkdir()
            scene.fill(directory, 3, 100_000)
            scene.fill(directory, 1, 30_000_000, "broken")
            victim = directory / "broken0"
            subprocess.run(["sync", "--file-system", directory], check=True)
            _forget(victim)
            end = _end_of(victim)
            with image.open("r+b") as file:
                file.seek(end)
                rest = file.read()
                file.truncate(end)
            with uploading(directory, scene.config(), topic, "--upload_existing") as upload:
                upload.wait_for("broken0 can't be read: Input/output error; it is tried again")
                tally.times += 1
                for _ in range(3):
                    upload.wait_for("file. all|file.: all")
                with image.open("r+b") as file:
                    file.seek(end)
                    file.write(rest)
                with tally.recovering():
                    upload.wait_for("broken0: all")
                upload.quit()
            scene.check(tally, directory, topic)
        finally:
            disk.unmount()


def _forget(path: Path) -> None:
    """Have the kernel forget what it has read of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _end_of(path: Path) -> int:
    """Return a place on its disk in the last megabyte of a file, where all that lies behind is free or its own."""
    done = subprocess.run(
        ["filefrag", "-b1048576", "-v", path], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise Skipped(f"filefrag: {done.stderr.strip()}")
    extents = [line.split() for line in done.stdout.splitlines() if "eof" in line]
    words = extents[-1]
    last = int(words[4].rstrip(":."))
    return last << 20


def own_logs_by_another(scene: Scene, tally: Tally, times: int) -> None:
    """Give LOGS to another user, who lets nobody write: one line says so, and nothing is sent."""
    if os.geteuid() != 0:
        raise Skipped("giving a folder away needs root")
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 40_000)
        logs = directory / "LOGS"
        logs.mkdir(mode=0o755)
        os.chown(logs, _NOBODY, _NOBODY)
        text = upload_once(directory, scene.config(), topic, status=2, by=NO_PRIVILEGE)
        tally.times += 1
        tally.require("Permission denied" in text and len(text.splitlines()) == 1, text)
        os.chown(logs, 0, 0)
        with tally.recovering():
            upload_once(directory, scene.config(), topic, by=NO_PRIVILEGE)
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("no room for LOGS, then room again", fill_logs, times=3, quick=1),
    Fault("no room for LOGS to the end", fill_logs_for_good, times=3),
    Fault("the disk turns read-only", turn_read_only, times=3, quick=1),
    Fault("a disk does not give a file's blocks (EIO)", break_disk, times=2, quick=1),
    Fault("LOGS belongs to another", own_logs_by_another, times=1, quick=1),
]
