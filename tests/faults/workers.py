"""Workers that are killed or stopped."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from functools import partial

import psutil

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import Upload, upload_once, uploading, wait_until

_WORKERS = ("watcher", "chunker-0", "producer-0", "chunker-1", "producer-1")
_TOLERATED = 5  # deaths within a minute


def kill_workers(scene: Scene, tally: Tally, times: int) -> None:
    """Kill workers at random instants, as many as one run tolerates."""
    slow = scene.slow_config()
    while tally.times < times:
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 4, 8_000_000)
        with uploading(directory, slow, topic, "--upload_existing") as upload:
            order = scene.random.sample(_WORKERS, min(_TOLERATED, times - tally.times))
            for name in order:
                victim = upload.wait_for_worker(name)
                time.sleep(scene.random.uniform(0.0, 0.3))  # the fault has to strike at a random instant
                (directory / f"while-{name}-dies").write_bytes(b"close to the death")
                victim.kill()
                tally.times += 1
                with tally.recovering():
                    wait_until(partial(_is_replaced, upload, name, victim))
            upload.quit()
        scene.check(tally, directory, topic)


def _is_replaced(upload: Upload, name: str, victim: psutil.Process) -> bool:
    present = upload.workers().get(name)
    return present is not None and present.pid != victim.pid


def kill_again_and_again(scene: Scene, tally: Tally, times: int) -> None:
    """Kill each successor of a worker as soon as it starts: the program has to end and say why."""
    for number in range(times):
        name = _WORKERS[number % 3]
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 2, 8_000_000)
        with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
            killed: set[int] = set()
            deadline = time.monotonic() + 30
            while upload.process.poll() is None and time.monotonic() < deadline:
                victim = upload.workers().get(name)
                if victim is not None and victim.pid not in killed:
                    victim.kill()
                    killed.add(victim.pid)
            status, text = upload.end()
        tally.times += 1
        tally.require(status == 1, f"it exited with status {status}")
        cause = f"{name} was killed by SIGKILL, and {_TOLERATED + 1} workers have died within 60 s"
        tally.require(cause in text, f"it does not say why it ended: {text}")
        tally.require("Traceback" not in text, text)
        with tally.recovering():
            upload_once(directory, scene.config(), topic)
        scene.check(tally, directory, topic)


def stop_workers(scene: Scene, tally: Tally, times: int) -> None:
    """Stop one worker in each of several uploads; the others and the console continue."""
    seconds = 1.0 if scene.is_quick else 30.0
    chosen = _WORKERS[:times]
    places = [(scene.directory(), scene.topic()) for _ in chosen]
    with ExitStack() as stack:
        uploads = []
        for name, (directory, topic) in zip(chosen, places):
            scene.fill(directory, 2, 4_000_000)
            upload = stack.enter_context(uploading(directory, scene.slow_config(), topic, "--upload_existing"))
            upload.wait_for_worker(name).send_signal(signal.SIGSTOP)
            tally.times += 1
            uploads.append(upload)
        time.sleep(seconds)  # the duration of the fault
        for name, (directory, _), upload in zip(chosen, places, uploads):
            (directory / "late").write_bytes(b"while it was stopped")
            upload.say("check")
            upload.wait_for("files? enqueued or in progress")
            upload.wait_for_worker(name).send_signal(signal.SIGCONT)
            with tally.recovering():
                upload.quit()
    for directory, topic in places:
        on_topic = scene.check(tally, directory, topic)
        tally.require_no_repeats(on_topic)


FAULTS = [
    Fault("kill -9 of a worker at any instant", kill_workers, times=50, quick=5),
    Fault("kill -9 of a worker and its successors", kill_again_and_again, times=6, quick=1),
    Fault("SIGSTOP of a worker, for 30 s", stop_workers, times=5, quick=1),
]
