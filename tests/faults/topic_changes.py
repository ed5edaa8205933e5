"""A topic that is changed or deleted during an upload, and a producer with fatal errors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.faults.broker_away import AWAY, REPORTED_WITHIN_S, must_be_idle, wait_until_recorded
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import in_progress, tree, uploading, wait_until

_ANSWER_S = 30.0


def _set_topic(bootstrap: str, topic: str, settings: Mapping[str, str]) -> None:
    """Change settings of a topic."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(_ANSWER_S)


def delete_topic(scene: Scene, tally: Tally, times: int) -> None:
    """Delete the topic during an upload and recreate it a few seconds later.

    Chunks acknowledged on the deleted topic are gone with it. All others, and all later files, must be on the new
    one.
    """
    bootstrap = scene.kafka.internal_bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(batch_num_messages="1"), topic) as upload:
            scene.fill(directory, 10, 1_000_000, "before")
            upload.wait_for("all")
            scene.fill(directory, 3, 8_000_000, "during")
            upload.wait_for("during")
            admin.delete_topics([topic])[topic].result(_ANSWER_S)
            # Until then, the broker accepts messages for it.
            wait_until(partial(_is_deleted, scene, topic))
            tally.times += 1
            scene.fill(directory, 20, 100_000, "meanwhile")
            if number % 2 == 0:  # otherwise it is recreated before dfud misses it
                upload.wait_for(AWAY, REPORTED_WITHIN_S + 10)
                if not scene.is_quick:
                    must_be_idle(tally, upload)
            _create(admin, topic)
            with tally.recovering():
                wait_until_recorded(directory, topic)
            scene.fill(directory, 5, 100_000, "after")
            upload.say("quit")
            status, text = upload.end()
        tally.require(status == ("made anew" in text), f"it exited with {status}: {text}")
        tally.require("not delivered" not in text, text)
        expected = {
            path: data for path, data in tree(directory).items() if path.startswith((b"meanwhile", b"after"))
        }
        tally.check(expected, scene.on_topic(topic))
        tally.require(not in_progress(directory, topic), "rows are left in the in-progress table")


def _is_deleted(scene: Scene, topic: str) -> bool:
    """Return whether the broker has no partition of the topic any more; it renames a deleted one first."""
    return not any(path.name.rpartition("-")[0] == topic for path in scene.kafka.folder.data.iterdir())


def _create(admin: AdminClient, topic: str) -> None:
    """Create the topic as soon as the broker has removed the deleted one."""
    deadline = time.monotonic() + _ANSWER_S
    while True:
        try:
            admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(_ANSWER_S)
            return
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def lower_limit(scene: Scene, tally: Tally, times: int) -> None:
    """Lower max.message.bytes during an upload, first below a batch, then below a chunk."""
    bootstrap = scene.kafka.internal_bootstrap
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(linger_ms="20"), topic) as upload:
            scene.fill(directory, 3, 8_000_000, "before")
            upload.wait_for("broken into")
            _set_topic(bootstrap, topic, {"max.message.bytes": "20000"})
            tally.times += 1
            scene.fill(directory, 10, 1_000_000, "meanwhile")
            scene.fill(directory, 200, 1_000, "small")
            with tally.recovering():
                wait_until_recorded(directory, topic)
            _set_topic(bootstrap, topic, {"max.message.bytes": "6000"})
            tally.times += 1
            time.sleep(0.5)  # until the broker applies it, which cannot be observed
            scene.fill(directory, 3, 100_000, "large")
            scene.fill(directory, 200, 1_000, "tiny")
            upload.wait_for(r"large\d not delivered: .*Message size too large.*max\.message\.bytes")
            upload.say("quit")
            status, text = upload.end()
        tally.require(status == 1, f"it exited with {status}: {text}")
        for number in range(3):
            count = text.count(f"large{number} not delivered: ")  # immediately, and at the end
            tally.require(count == 2, f"reported {count} times: {text}")
        left = {os.fsencode(row["rel_filepath"]) for row in in_progress(directory, topic)}
        tally.require(left == {b"large0", b"large1", b"large2"}, f"{left} are left: {text}")
        on_topic = scene.on_topic(topic)
        tally.check({path: content for path, content in tree(directory).items() if path not in left}, on_topic)
        tally.check_recorded(directory, topic, on_topic)


def fail_for_good(scene: Scene, tally: Tally, times: int) -> None:
    """Cause fatal errors of the idempotent producer."""
    program = Path(__file__).with_name("failing_producer.py")
    each = 2 if scene.is_quick else 6  # in each of two lanes; more in a row end a run that was asked to end
    for number in range(times // (2 * each)):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 10, 4_000_000)
        scene.fill(directory, 200, 1_000, "small")
        by = [sys.executable, str(program), str(scene.random.randint(20, 80)), str(each)]
        with uploading(directory, scene.config(), topic, "--upload_existing", by=by) as upload:
            if number % 2:  # otherwise it happens while the run ends
                wait_until_recorded(directory, topic)
            tally.times += 2 * each
            with tally.recovering():
                text = upload.quit()
        count = text.count("the producer failed permanently")
        tally.require(2 <= count <= 2 * each, f"reported {count} times: {text}")
        tally.require("internal error" not in text and "restarting it" not in text, text)
        scene.check(tally, directory, topic)


FAULTS = [
    Fault(
        "a fatal error of the idempotent producer",
        fail_for_good,
        times=72,
        quick=4,
        injected="by librdkafka's own test function",
    ),
    Fault("the topic is deleted and recreated", delete_topic, times=4, quick=1),
    Fault("max.message.bytes is lowered", lower_limit, times=4, quick=1),
]
