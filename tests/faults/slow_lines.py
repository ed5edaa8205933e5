"""A broker that is there and slow: a quota, a slow line, and both with messages that wait longer than they may."""

from __future__ import annotations

from pathlib import Path

from dfud.broker import client_config
from tests.faults.broker_away import AWAY
from tests.faults.line import line
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.quotas import limit_producer
from tests.helpers.topics import create_topic
from tests.helpers.uploading import in_progress, uploading

SLOW = "broker slow"
_TIMEOUT_S = 120.0


def quota(scene: Scene, tally: Tally, times: int) -> None:
    """Limit what producers may send, so that messages wait for longer than message.timeout.ms."""
    rate = 60_000 if scene.is_quick else 80_000
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        client = f"limited-{topic}"
        limit_producer(scene.kafka.internal_bootstrap, client, rate)
        properties = {"client.id": client, "message.timeout.ms": "3000"}
        config = client_config.write(scene.path("kafka.config"), scene.kafka.bootstrap, producer=properties)
        scene.fill(directory, 10 if scene.is_quick else 30, 100_000 if scene.is_quick else 200_000)
        _upload_slowly(tally, directory, config, topic, is_once=number % 2 == 0)
        scene.check(tally, directory, topic)


def slow_line(scene: Scene, tally: Tally, times: int) -> None:
    """Pass so few bytes a second that messages wait for longer than message.timeout.ms."""
    with line(scene) as (node, proxy):
        for number in range(times):
            directory, topic = scene.directory(), create_topic(node.internal_bootstrap)
            config = scene.config(proxy.address, message_timeout_ms="10000")
            scene.fill(directory, 20, 80_000)
            proxy.slow((40_000, 20_000, 60_000)[number % 3])
            _upload_slowly(tally, directory, config, topic, is_once=number % 2 == 0)
            proxy.heal()
            on_topic = scene.check(tally, directory, topic, node.internal_bootstrap)
            n_bytes = sum(file.size for versions in on_topic.values() for file in versions.values())
            repeated = sum(file.duplicates for versions in on_topic.values() for file in versions.values())
            tally.require(repeated * 16384 < n_bytes / 2, f"{repeated} chunks were sent twice")


def _upload_slowly(tally: Tally, directory: Path, config: Path, topic: str, is_once: bool) -> None:
    """Upload what is there, and check that nothing is given up and that the broker is not called unreachable."""
    once = ["--once"] if is_once else []
    with uploading(directory, config, topic, "--upload_existing", *once) as upload:
        tally.times += 1
        with tally.recovering():
            if not is_once:
                upload.wait_for("broken into")
                upload.say("quit")
            status, text = upload.end(_TIMEOUT_S)
    tally.require(status == 0, f"it exited with {status}: {text}")
    tally.require(AWAY not in text, f"it calls a slow broker unreachable: {text}")
    tally.require(text.count(SLOW) <= 1, f"said {text.count(SLOW)} times: {text}")
    tally.require(not in_progress(directory, topic), "rows are left in the in-progress table")


FAULTS = [
    Fault("a quota of the broker", quota, times=4, quick=1),
    Fault("a slow line", slow_line, times=3),
]
