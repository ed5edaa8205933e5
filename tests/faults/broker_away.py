"""A broker that is killed and stays away briefly, for a while, or for longer than messages may wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from confluent_kafka import KafkaException

from dfud.broker.node import KafkaNode
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Files, Tally
from tests.helpers.topics import create_topic
from tests.helpers.uploading import (
    WAIT_S,
    Upload,
    completed,
    in_progress,
    tree,
    upload_once,
    uploading,
    wait_until,
)

AWAY, BACK = "broker unreachable", "broker reachable again"
REPORTED_WITHIN_S = 10.0
_MESSAGE_TIMEOUT_S = 2.0


@contextmanager
def _broker(scene: Scene) -> Iterator[KafkaNode]:
    """Run a broker for one fault."""
    with KafkaNode(scene.path("kafka"), heap_mb=256) as node:
        yield node


def kill_broker(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the broker during an upload; restart it after 1, 10 and 60 s."""
    with _broker(scene) as node:
        directory, topic = scene.directory(), create_topic(node.bootstrap)
        config = scene.config(node.bootstrap, batch_num_messages="1")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                scene.fill(directory, 3, 8_000_000, f"before{number}-")
                upload.wait_for("broken into")
                time.sleep(scene.random.uniform(0.0, 0.3))  # the fault has to strike at a random instant
                node.kill()
                began = time.monotonic()
                tally.times += 1
                scene.fill(directory, 20, 100_000, f"meanwhile{number}-")
                upload.wait_for(AWAY, REPORTED_WITHIN_S)
                away = 1.0 if scene.is_quick else (1.0, 10.0, 60.0)[number % 3]
                time.sleep(max(0.0, began + away - time.monotonic()))  # the duration of the fault
                node.start()
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
            text = upload.quit()
        tally.require(text.count(AWAY) == times, f"reported {text.count(AWAY)} times: {text}")
        scene.check(tally, directory, topic, node.bootstrap)


def outlive_messages(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the broker for longer than message.timeout.ms: the chunks are sent again."""
    with _broker(scene) as node:
        directory, topic = scene.directory(), create_topic(node.bootstrap)
        config = scene.config(node.bootstrap, message_timeout_ms=f"{_MESSAGE_TIMEOUT_S * 1000:.0f}")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                scene.fill(directory, 10, 1_000_000, f"before{number}-")
                node.kill()
                tally.times += 1
                scene.fill(directory, 10, 1_000_000, f"meanwhile{number}-")
                upload.wait_for(AWAY, REPORTED_WITHIN_S)
                time.sleep(2 * _MESSAGE_TIMEOUT_S)  # the duration of the fault
                must_be_idle(tally, upload)
                node.start()
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
            text = upload.quit()
        tally.require(text.count(AWAY) == times, f"reported {text.count(AWAY)} times: {text}")
        tally.require("not delivered" not in text, text)
        scene.check(tally, directory, topic, node.bootstrap)


def give_up(scene: Scene, tally: Tally, times: int) -> None:
    """Kill the broker for good, with ``--once`` or after "quit": the files are listed and left to the next run."""
    with _broker(scene) as node:
        config = scene.config(
            node.bootstrap, message_timeout_ms=f"{_MESSAGE_TIMEOUT_S * 1000:.0f}", batch_num_messages="1"
        )
        for number in range(times):
            directory, topic = scene.directory(), create_topic(node.bootstrap)
            once = ["--once"] if number % 2 == 0 else []
            scene.fill(directory, 12, 4_000_000)
            (directory / "small").write_bytes(b"x")
            with uploading(directory, config, topic, "--upload_existing", *once) as upload:
                upload.wait_for("broken into")
                node.kill()
                tally.times += 1
                if not once:
                    upload.wait_for(AWAY, REPORTED_WITHIN_S)
                    upload.say("quit")
                status, text = upload.end(_MESSAGE_TIMEOUT_S + 30)
            tally.require(status == 1, f"it exited with {status}: {text}")
            tally.require("Traceback" not in text, text)
            left = {os.fsencode(row["rel_filepath"]) for row in in_progress(directory, topic)}
            for name in left:
                tally.require(
                    f"{os.fsdecode(name)} not delivered: " in text,
                    f"{name!r} is not named: {text}",
                )
            node.start()
            before = _read_after_start(scene, topic, node)
            whole = {
                path for path in tree(directory) if any(each.complete for each in before.get(path, {}).values())
            }
            tally.check_recorded(directory, topic, before)
            tally.require(left | whole == tree(directory).keys(), f"only {left} are left for the next run")
            with tally.recovering():
                upload_once(directory, config, topic)
            tally.require(not in_progress(directory, topic), "the next run has left rows in progress")
            scene.check(tally, directory, topic, node.bootstrap)


def _read_after_start(scene: Scene, topic: str, node: KafkaNode) -> Files:
    """Read a topic of a broker that has just started and may not lead all partitions yet."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return scene.on_topic(topic, node.bootstrap)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def must_be_idle(tally: Tally, upload: Upload) -> None:
    """Check for 5 s that the program and its workers do not busy-wait."""
    members = [psutil.Process(upload.process.pid), *upload.workers().values()]
    before = sum(sum(member.cpu_times()[:2]) for member in members)
    time.sleep(5.0)
    share = (sum(sum(member.cpu_times()[:2]) for member in members) - before) / 5.0
    tally.require(share < 0.2, f"{share:.0%} of a core while there is nothing to do")


def _memory(upload: Upload) -> int:
    """Return the memory of the program and its workers in bytes; shared pages count once."""
    members = [psutil.Process(upload.process.pid), *upload.workers().values()]
    return sum(member.memory_full_info().pss for member in members)


def flood(scene: Scene, tally: Tally, times: int) -> None:
    """Write far more files than the queues hold while the broker is away."""
    megabytes = 16
    files = 1_500 if scene.is_quick else 20_000
    with _broker(scene) as node:
        for _ in range(times):
            directory, topic = scene.directory(), create_topic(node.bootstrap)
            config = scene.config(node.bootstrap, message_timeout_ms=f"{_MESSAGE_TIMEOUT_S * 1000:.0f}")
            with uploading(directory, config, topic, "--queue_max_size", str(megabytes)) as upload:
                scene.fill(directory, 30, 2_000_000, "first")
                wait_until_recorded(directory, topic)
                idle = _memory(upload)
                node.kill()
                tally.times += 1
                _write_many(directory, files)
                upload.wait_for(AWAY, REPORTED_WITHIN_S)
                peak = 0
                end = time.monotonic() + 3 * _MESSAGE_TIMEOUT_S  # messages time out and wait to be resent
                while time.monotonic() < end:
                    peak = max(peak, _memory(upload))
                    time.sleep(0.2)
                tally.require(
                    peak < idle + (megabytes + 40) * 1_000_000,
                    f"{peak / 1e6:.0f} MB while the broker is away, {idle / 1e6:.0f} MB before",
                )
                node.start()
                with tally.recovering():
                    upload.wait_for(BACK)
                    upload.quit()
            scene.check(tally, directory, topic, node.bootstrap)


def _write_many(directory: Path, files: int) -> None:
    for number in range(files):
        (directory / f"flood{number}").write_bytes(os.urandom(20_000))


def wait_until_recorded(directory: Path, topic: str) -> None:
    """Wait until every file of the directory has a row in a completed table."""
    names = {os.fsdecode(path) for path in tree(directory)}
    wait_until(lambda: names <= {row["rel_filepath"] for row in completed(directory, topic)})


FAULTS = [
    Fault("the broker is killed, back after 1, 10, 60 s", kill_broker, times=6, quick=1),
    Fault("the broker is away for longer than message.timeout.ms", outlive_messages, times=3),
    Fault("the broker is away for good at the end", give_up, times=4, quick=1),
    Fault("a flood of files while the broker is away", flood, times=1),
]
