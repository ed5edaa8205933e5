"""The signals that ask for the end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import Upload, command, upload_once, uploading

_AT_ONCE = 5.0  # s, more than a busy machine takes
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_once(scene: Scene, tally: Tally, times: int) -> None:
    """Ask for the end while files are on their way: all of them are delivered first."""
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 8_000_000)
        with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
            upload.wait_for("broken into")
            time.sleep(scene.random.uniform(0.0, 0.3))  # the instant itself is what is wanted
            asked = _ENDING[number % len(_ENDING)]
            upload.process.send_signal(asked)
            tally.times += 1
            with tally.recovering():
                status, text = upload.end()
        tally.require(status == 0, lambda text=text: text)
        scene.check(tally, directory, topic)


def end_at_start(scene: Scene, tally: Tally, times: int) -> None:
    """Ask for the end from the first instant on: it is done, or one line says that nothing was."""
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 10, 100_000)
        upload = Upload(command(directory, scene.config(), topic, "--upload_existing"))
        try:
            time.sleep(scene.random.uniform(0.0, 0.6))  # the instant itself is what is wanted
            asked = _ENDING[number % len(_ENDING)]
            upload.process.send_signal(asked)
            tally.times += 1
            status, text = upload.end()
        finally:
            upload.close()
        told = f"stopped by {asked.name} before anything was transferred" in text
        # Before dfud is there at all, Python's own answer is a death by the signal, or an interruption of its own.
        pythons = text.endswith("KeyboardInterrupt\n") and "/dfud/commands/" not in text
        tally.require("Traceback" not in text or pythons, lambda text=text: text)
        early = status in (1, -asked) and (pythons or text.strip() in ("", "dfud: interrupted"))
        expected = status == 0 or told or early
        tally.require(expected, lambda asked=asked, status=status, text=text: f"{asked.name}, {status}: {text}")
        with tally.recovering():
            upload_once(directory, scene.config(), topic)
        scene.check(tally, directory, topic)


def interrupt_twice(scene: Scene, tally: Tally, times: int) -> None:
    """Interrupt it twice: it leaves at once, and the next start sends the rest."""
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
        tally.require(status == 1 and "stopped immediately" in text, lambda text=text: text)
        tally.require(took < _AT_ONCE, f"it left {took:.1f} s later")
        tally.check_recorded(directory, topic, scene.on_topic(topic))
        with tally.recovering():
            upload_once(directory, scene.config(), topic)
        scene.check(tally, directory, topic)


def close_terminal(scene: Scene, tally: Tally, times: int) -> None:
    """Close the terminal that the program is the foreground job of."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 8_000_000)
        terminal, theirs = pty.openpty()
        # A session of its own, whose terminal becomes the first that it opens.
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
        tally.require(status == 0, f"it ended with status {status}")
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("SIGTERM, SIGINT or SIGHUP at work", end_once, times=12, quick=1),
    Fault("SIGTERM, SIGINT or SIGHUP at the start", end_at_start, times=30, quick=2),
    Fault("SIGINT twice", interrupt_twice, times=5),
    Fault("the terminal is closed", close_terminal, times=3, quick=1),
]
