"""kill -9 of the whole program."""

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

_KILLS_PER_TOPIC = 10  # as the topic is read back after each kill
_MAX_DELAY_S = 5.0  # from an acknowledgement to its record in the tables
_MAX_TRANSIT_S = 0.5  # from the broker's timestamp to the handling of the acknowledgement


def kill_everything(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the program at any instant of its life and start it again.

    A run with ``--once`` goes through all phases: start, consolidation of what the previous run has left, upload,
    end. Its duration is measured, and all instants of it are equally likely.
    """
    config, slow = scene.config(), scene.slow_config()
    while tally.times < times:
        directory, topic = scene.directory(), scene.topic()
        span = 1.0
        small = scene.random.random() < 0.5
        for number in range(min(_KILLS_PER_TOPIC, times - tally.times)):
            if small:
                scene.fill(directory, 200, 2_000, f"small{number}-")
            else:
                scene.fill(directory, 2, 2_000_000, f"large{number}-")
            chosen = scene.random.choice([config, slow])
            if not _kill_within(scene, Upload(command(directory, chosen, topic, "--once")), span):
                continue
            tally.times += 1
            before = scene.on_topic(topic)
            recorded = tally.check_recorded(directory, topic, before)
            if scene.random.random() < 0.5:
                continue  # the next run is killed before everything is delivered
            with tally.recovering():
                upload_once(directory, config, topic)
            span = tally.seconds[-1]
            _check_not_sent_again(tally, recorded, before, scene.on_topic(topic))
        upload_once(directory, config, topic)
        scene.check(tally, directory, topic)


def _kill_within(scene: Scene, upload: Upload, span: float) -> bool:
    """Kill a program at a random instant of the first `span` seconds; return whether it was still running."""
    try:
        time.sleep(scene.random.uniform(0.0, span))  # the fault has to strike at a random instant
        if upload.process.poll() is not None:
            return False
        if scene.random.random() < 0.5:
            upload.kill()
        else:  # only the supervisor: the kernel kills the workers
            workers = upload.workers().values()
            os.kill(upload.process.pid, signal.SIGKILL)
            upload.process.wait()
            wait_until(lambda: not any(worker.is_running() for worker in workers))
        return True
    finally:
        upload.close()


def _check_not_sent_again(tally: Tally, recorded: dict[bytes, set[int]], before: Files, after: Files) -> None:
    """Check that no recorded chunk is on the topic more often than before."""
    for path, numbers in recorded.items():
        for upload_id, version in after.get(path, {}).items():
            earlier = before.get(path, {}).get(upload_id)
            for number in numbers:
                was = earlier.order.count(number) if earlier is not None else 0
                if version.order.count(number) > was:
                    tally.complain(f"{path!r}: chunk {number} was recorded and is sent again")


def kill_after_a_while(scene: Scene, tally: Tally, times: int) -> None:
    """Kill a program that has run for longer than its tables may lag, while files are being added."""
    config = scene.config()
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic(message_timestamp_type="LogAppendTime")
        upload = Upload(command(directory, config, topic))
        try:
            upload.wait_for("watching")
            with _Writer(scene, directory):
                time.sleep(
                    scene.random.uniform(_MAX_DELAY_S + 1, 2 * _MAX_DELAY_S)
                )  # the fault has to strike at a random instant
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


class _Writer:
    """Writes files of all sizes, one after another, for the duration of the block."""

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
    """Check that each repeated chunk was first written shortly before the kill."""
    times = defaultdict(list)
    for message in read_topic(scene.kafka.bootstrap, topic):
        times[message.key, message.headers["upload_id"], message.headers["chunk"]].append(message.timestamp_ms)
    for (path, _, chunk), timestamps_ms in times.items():
        age = killed_at - timestamps_ms[0] / 1000
        if len(timestamps_ms) > 1 and age > _MAX_DELAY_S + _MAX_TRANSIT_S:
            tally.complain(f"{path!r}: chunk {chunk!r}, acknowledged {age:.1f} s before the kill, is sent again")


FAULTS = [
    Fault("kill -9 of everything at any instant", kill_everything, times=200, quick=3),
    Fault("kill -9 of everything after 6 to 10 s", kill_after_a_while, times=10),
]
