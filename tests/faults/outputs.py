"""Standard output that nobody reads."""

from __future__ import annotations

import subprocess

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import WAIT_S, Upload, command


def fill_pipe(scene: Scene, tally: Tally, times: int) -> None:
    """Fill the pipe on standard output, which nobody reads."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 100, 20_000)
        words = command(directory, scene.config(), topic, "--once", "--update_seconds", "0.00001")
        upload = Upload(words)
        try:
            upload.process.wait(WAIT_S)
            tally.times += 1
            tally.require(upload.process.returncode == 0, f"it exited with {upload.process.returncode}")
        finally:
            upload.close()
        scene.check(tally, directory, topic)


def close_pipe(scene: Scene, tally: Tally, times: int) -> None:
    """Close the pipe on standard output and standard error during an upload."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 4_000_000)
        upload = Upload(command(directory, scene.slow_config(), topic, "--upload_existing"))
        try:
            upload.wait_for("broken into")
            assert upload.process.stdout is not None
            upload.process.stdout.close()
            tally.times += 1
            upload.say("check")
            upload.say("quit")
            status = upload.process.wait(WAIT_S)
            tally.require(status == 0, f"it exited with status {status}")
        finally:
            upload.close()
        scene.check(tally, directory, topic)


def close_all(scene: Scene, tally: Tally, times: int) -> None:
    """Start dfud with all standard files closed."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 20, 40_000)
        words = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command(directory, scene.config(), topic, "--once")]
        status = subprocess.run(words, timeout=WAIT_S, check=False).returncode
        tally.times += 1
        tally.require(status == 0, f"it exited with status {status}")
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("a full pipe on standard output", fill_pipe, times=5),
    Fault("standard output is closed while running", close_pipe, times=5, quick=1),
    Fault("all standard files are closed", close_all, times=3, quick=1),
]
