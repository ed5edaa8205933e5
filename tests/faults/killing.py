"""kill -9, of everything."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Files, Tally
from tests.helpers.reader import read_topic
from tests.helpers.uploading import Upload, command, upload_once, wait_until

_A_TOPIC = 10  # kills, after which another topic is begun: each is read back after each kill
_BEHIND = 5.0  # s, which the tables may be behind
_ON_ITS_WAY = 0.5  # s, from the broker's clock to the acknowledgement's being taken in


def kill_everything(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the program at any instant of its life, and start it again.

    A run that is told to end from the outset goes through everything: start, consolidation of what the run before
    has left, upload, end. How long that takes is measured, and any instant of it is as likely as any other.
    """
    config, slow = scene.config(), scene.slow_config()
    while tally.times < times:
        directory, topic = scene.directory(), scene.topic()
        span = 1.0
        small = scene.random.random() < 0.5
        for number in range(min(_A_TOPIC, times - tally.times)):
            if small:
                scene.fill(directory, 200, 2_000, f"small{number}-")
            else:
                scene.fill(directory, 2, 2_000_000, f"large{number}-")
            chosen = scene.random.choice([config, slow])
            if not _is_killed_within(scene, Upload(command(directory, chosen, topic, "--once")), span):
                continue
            tally.times += 1
            before = scene.on_topic(topic)
            recorded = tally.check_recorded(directory, topic, before)
            if scene.random.random() < 0.5:
                continue  # the next one is killed before all is there
            with tally.recovering():
                upload_once(directory, config, topic)
            span = tally.seconds[-1]
            _check_not_sent_again(tally, recorded, before, scene.on_topic(topic))
        upload_once(directory, config, topic)
        scene.check(tally, directory, topic)


def _is_killed_within(scene: Scene, upload: Upload, span: float) -> bool:
    """Kill a program within so many seconds from its start, unless it has ended by itself."""
    try:
        time.sleep(scene.random.uniform(0.0, span))  # the instant itself is what is wanted
        if upload.process.poll() is not None:
            return False
        if scene.random.random() < 0.5:
            upload.kill()
        else:  # the supervisor alone: the kernel takes the workers with it
            workers = upload.workers().values()
            os.kill(upload.process.pid, signal.SIGKILL)
            upload.process.wait()
            wait_until(lambda: not any(worker.is_running() for worker in workers))
        return True
    finally:
        upload.close()


def _check_not_sent_again(tally: Tally, recorded: dict[bytes, set[int]], before: Files, after: Files) -> None:
    """Check that no chunk that was recorded is on the topic more often than before."""
    for path, numbers in recorded.items():
        for upload_id, version in after.get(path, {}).items():
            earlier = before.get(path, {}).get(upload_id)
            for number in numbers:
                was = earlier.order.count(number) if earlier is not None else 0
                if version.order.count(number) > was:
                    tally.complain(f"{path!r}: chunk {number} was recorded and is sent again")


def kill_after_a_while(scene: Scene, tally: Tally, times: int) -> None:
    """Kill a program that has been at work for longer than its tables may be behind, while more files come."""
    config = scene.config()
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic(message_timestamp_type="LogAppendTime")
        upload = Upload(command(directory, config, topic))
        try:
            upload.wait_for("watching")
            with _writing(scene, directory):
                time.sleep(scene.random.uniform(_BEHIND + 1, 2 * _BEHIND))  # the instant itself is what is wanted
                killed_at = time.time()
                upload.kill()
        finally:
            upload.close()
        tally.times += 1
        before = scene.on_topic(topic)
        recorded = tally.check_recorded(directory, topic, before)
        with tally.recovering():
            upload_once(directory, config, topic)
        on_topic = scene.check(tally, directory, topic)
        _check_not_sent_again(tally, recorded, before, on_topic)
        _check_ages(scene, tally, topic, killed_at)


class _writing:
    """Write files of all sizes, one after another, for the time of the block."""

    def __init__(self, scene: Scene, directory: Path) -> None:
        self._random, self._directory = scene.random, directory
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> None:
        self._content = self._random.randbytes(3_000_000)
        self._sizes = [self._random.choice([100, 20_000, 3_000_000]) for _ in range(10_000)]
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        for number, size in enumerate(self._sizes):
            (self._directory / f"file{number}").write_bytes(b"%d " % number + self._content[:size])
            if self._end.wait(0.05):
                return


def _check_ages(scene: Scene, tally: Tally, topic: str, killed_at: float) -> None:
    """Check of each chunk that is twice on the topic that it came there not long before the kill."""
    times = defaultdict(list)
    for message in read_topic(scene.kafka.bootstrap, topic):
        times[message.key, message.headers["upload_id"], message.headers["chunk"]].append(message.timestamp_ms)
    for (path, _, chunk), came in times.items():
        age = killed_at - came[0] / 1000
        if len(came) > 1 and age > _BEHIND + _ON_ITS_WAY:
            tally.complain(f"{path!r}: chunk {chunk!r}, acknowledged {age:.1f} s before the kill, is sent again")


FAULTS = [
    Fault("kill -9 of everything at any instant", kill_everything, times=200, quick=3),
    Fault("kill -9 of everything at work for 6 to 10 s", kill_after_a_while, times=10),
]
