"""Disks that are full, read-only or broken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.faults.changing import NO_PRIVILEGE
from tests.faults.mounting import Disk, tmpfs
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, command, completed, tree, upload_once, uploading

_NOBODY = 65534


def fill_logs(scene: Scene, tally: Tally, times: int) -> None:
    """Fill the disk of LOGS, then free it: uploading goes on, and at the end everything is recorded."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        (directory / "LOGS").mkdir()
        with tmpfs(directory / "LOGS", 1):
            with uploading(directory, scene.config(), topic) as upload:
                ballast = directory / "LOGS" / "ballast"
                fill_up(ballast)
                tally.times += 1
                scene.fill(directory, 100, 20_000)
                upload.wait_for("cannot write the completed table.*No space left")
                scene.fill(directory, 20, 20_000, "later")
                ballast.unlink()
                with tally.recovering():
                    upload.wait_for("writing the completed table works again")
                upload.quit()
            scene.check(tally, directory, topic)
            tally.require(len(completed(directory, topic)) == 120, "some files have no row")
            upload_once(directory, scene.config(), topic)
            tally.require_no_repeats(scene.on_topic(topic))


def fill_logs_for_good(scene: Scene, tally: Tally, times: int) -> None:
    """Keep the disk of LOGS full to the end: it exits with 1, and the next run sends what is not recorded."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        (directory / "LOGS").mkdir()
        with tmpfs(directory / "LOGS", 1):
            with uploading(directory, scene.config(), topic) as upload:
                ballast = directory / "LOGS" / "ballast"
                fill_up(ballast)
                tally.times += 1
                scene.fill(directory, 100, 20_000)
                upload.wait_for("cannot write the completed table.*No space left")
                upload.say("quit")
                status, text = upload.end()
            tally.require(status == 1 and "some tables could not be written" in text, text)
            tally.require("Traceback" not in text, text)
            upload = Upload(command(directory, scene.config(), topic, "--once"))  # the disk is full when it starts
            try:
                status, text = upload.end()
            finally:
                upload.close()
            tally.require(status in (1, 2) and "No space left" in text and "Traceback" not in text, text)
            ballast.unlink()
            with tally.recovering(), uploading(directory, scene.config(), topic) as upload:
                upload.quit()
            scene.check(tally, directory, topic)
            tally.require(len(completed(directory, topic)) >= 100, "some files have no row")


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def make_read_only(scene: Scene, tally: Tally, times: int) -> None:
    """Make the disk read-only during an upload, as ext4 does after an error; repair it and start again."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        disk = Disk(scene.path("disk"), directory, 64)
        try:
            with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
                scene.fill(directory, 4, 4_000_000)
                subprocess.run(["sync", "--file-system", directory], check=True)
                disk.make_read_only()
                tally.times += 1
                upload.wait_for("cannot write .*; retrying")
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
    """Make some blocks of a file unreadable for a while (EIO); the other files are delivered."""
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
                upload.wait_for("cannot read broken0: Input/output error; retrying")
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
    """Drop a file from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _end_of(path: Path) -> int:
    """Return an offset on the disk, in the last megabyte of a file, after which there is nothing but this file."""
    done = subprocess.run(
        ["filefrag", "-b1048576", "-v", path], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise UnavailableError(f"filefrag: {done.stderr.strip()}")
    extents = [line.split() for line in done.stdout.splitlines() if "eof" in line]
    words = extents[-1]
    last = int(words[4].rstrip(":."))
    return last << 20


def own_logs_by_another(scene: Scene, tally: Tally, times: int) -> None:
    """Give LOGS to another user without write access for others: one line reports it, and nothing is sent."""
    if os.geteuid() != 0:
        raise UnavailableError("changing the owner of a folder needs root")
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
    Fault("the disk of LOGS is full for a while", fill_logs, times=3, quick=1),
    Fault("the disk of LOGS is full to the end", fill_logs_for_good, times=3),
    Fault("the disk becomes read-only", make_read_only, times=3, quick=1),
    Fault("blocks of a file are unreadable (EIO)", break_disk, times=2, quick=1),
    Fault("LOGS belongs to another user", own_logs_by_another, times=1, quick=1),
]
