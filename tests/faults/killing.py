"""kill -9, of everything and of each worker."""

from __future__ import annotations

import os
import signal
import time

from faults.scene import Fault, Scene
from faults.tally import Files, Tally
from uploading import Upload, command, upload_once, wait_until

_A_TOPIC = 10  # kills, after which another topic is begun: each is read back after each kill


def kill_everything(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the program at any instant of its life, from the first one on, and start it again.

    Every second time it is told to end before, so that the end is met, too.
    """
    config, slow = scene.config(), scene.slow_config()
    while tally.times < times:
        directory, topic = scene.directory(), scene.topic()
        small = scene.random.random() < 0.5
        for number in range(min(_A_TOPIC, times - tally.times)):
            if small:
                scene.fill(directory, 200, 2_000, f"small{number}-")
            else:
                scene.fill(directory, 2, 2_000_000, f"large{number}-")
            _kill_one(
                scene, tally, Upload(command(directory, scene.random.choice([config, slow]), topic, "--once"))
            )
            before = scene.on_topic(topic)
            recorded = tally.check_recorded(directory, topic, before)
            if scene.random.random() < 0.5:
                continue  # killed again before it is whole
            with tally.recovering():
                upload_once(directory, config, topic)
            check_not_sent_again(tally, recorded, before, scene.on_topic(topic))
        upload_once(directory, config, topic)
        scene.check(tally, directory, topic)


def _kill_one(scene: Scene, tally: Tally, upload: Upload) -> None:
    """Kill a program at an instant that may be any: of its start, of its work, of its end."""
    try:
        time.sleep(scene.random.uniform(0.0, 2.0))  # the instant itself is what is wanted
        if upload.process.poll() is None:
            if scene.random.random() < 0.5:
                upload.kill()
            else:  # the supervisor alone: the kernel takes the workers with it
                workers = upload.workers().values()
                os.kill(upload.process.pid, signal.SIGKILL)
                upload.process.wait()
                wait_until(lambda: not any(worker.is_running() for worker in workers))
            tally.times += 1
    finally:
        upload.close()


def check_not_sent_again(tally: Tally, recorded: dict[bytes, set[int]], before: Files, after: Files) -> None:
    """Check that no chunk that was recorded is on the topic more often than before."""
    for path, numbers in recorded.items():
        for upload_id, version in after.get(path, {}).items():
            earlier = before.get(path, {}).get(upload_id)
            for number in numbers:
                was = earlier.order.count(number) if earlier is not None else 0
                if version.order.count(number) > was:
                    tally.complain(f"{path!r}: chunk {number} was recorded and is sent again")


FAULTS = [
    Fault("kill -9 of everything at any instant", kill_everything, times=200, quick=4),
]
