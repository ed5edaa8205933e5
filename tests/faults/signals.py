"""Signals that ask the program to end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.terminals import ON_TERMINAL
from tests.helpers.uploading import Upload, command, upload_once, uploading

_MAX_STOP_S = 5.0  # more than a busy machine takes
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_once(scene: Scene, tally: Tally, times: int) -> None:
    """Ask for the end while files are in progress: all of them are delivered first."""
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 8_000_000)
        with uploading(directory, scene.slow_config(), topic, "--upload_existing", by=ON_TERMINAL) as upload:
            upload.wait_for("broken into")
            time.sleep(scene.random.uniform(0.0, 0.3))  # the fault has to strike at a random instant
            asked = _ENDING[number % len(_ENDING)]
            upload.process.send_signal(asked)
            tally.times += 1
            with tally.recovering():
                status, text = upload.end()
        tally.require(status == 0, text)
        scene.check(tally, directory, topic)


def end_at_start(scene: Scene, tally: Tally, times: int) -> None:
    """Ask for the end at the start: all is delivered, or one line says that nothing was."""
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 10, 100_000)
        upload = Upload([*ON_TERMINAL, *command(directory, scene.config(), topic, "--upload_existing")])
        try:
            time.sleep(scene.random.uniform(0.0, 0.6))  # the fault has to strike at a random instant
            asked = _ENDING[number % len(_ENDING)]
            upload.process.send_signal(asked)
            tally.times += 1
            status, text = upload.end()
        finally:
            upload.close()
        reported = f"stopped by {asked.name} before anything was transferred" in text
        # Before dfud handles signals, they kill the process, or Python raises KeyboardInterrupt.
        pythons = text.endswith("KeyboardInterrupt\n") and "/dfud/commands/" not in text
        tally.require("Traceback" not in text or pythons, text)
        early = status in (1, -asked) and (pythons or text.strip() in ("", "dfud: interrupted"))
        expected = status == 0 or reported or early
        tally.require(expected, f"{asked.name}, {status}: {text}")
        with tally.recovering():
            upload_once(directory, scene.config(), topic)
        scene.check(tally, directory, topic)


def interrupt_twice(scene: Scene, tally: Tally, times: int) -> None:
    """Interrupt it twice: it stops immediately, and the next run sends the rest."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 4, 16_000_000)
        with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
            upload.wait_for("broken into")
            upload.process.send_signal(signal.SIGINT)
            upload.wait_for("finishing what is enqueued")
            upload.process.send_signal(signal.SIGINT)
            began = time.monotonic()
            status, text = upload.end()
            took = time.monotonic() - began
        tally.times += 1
        tally.require(status == 1 and "stopped immediately" in text, text)
        tally.require(took < _MAX_STOP_S, f"it took {took:.1f} s to stop")
        tally.check_recorded(directory, topic, scene.on_topic(topic))
        with tally.recovering():
            upload_once(directory, scene.config(), topic)
        scene.check(tally, directory, topic)


def close_terminal(scene: Scene, tally: Tally, times: int) -> None:
    """Close the terminal of which the program is the foreground job."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 8_000_000)
        terminal, theirs = pty.openpty()
        # In a session of its own, whose controlling terminal becomes its standard input.
        words = ["setsid", "--ctty", *command(directory, scene.slow_config(), topic, "--upload_existing")]
        process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
        try:
            os.close(theirs)
            seen = b""
            while b"broken into" not in seen:
                seen += os.read(terminal, 4096)
            os.close(terminal)
            tally.times += 1
            with tally.recovering():
                status = process.wait(60)
        finally:
            process.kill()
            process.wait()
        tally.require(status == 0, f"it exited with status {status}")
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("SIGTERM, SIGINT or SIGHUP while running", end_once, times=12, quick=1),
    Fault("SIGTERM, SIGINT or SIGHUP at the start", end_at_start, times=30, quick=2),
    Fault("SIGINT twice", interrupt_twice, times=5),
    Fault("the terminal is closed", close_terminal, times=3, quick=1),
]
