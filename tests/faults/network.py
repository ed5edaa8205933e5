"""A network that stalls, cuts and delays: a TCP proxy between the program and the broker."""

from __future__ import annotations

import re
import time

from tests.faults.broker_away import AWAY, BACK, REPORTED_WITHIN_S, wait_until_recorded
from tests.faults.line import line
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.last_versions import assert_topic_has_what_is_there
from tests.helpers.topics import create_topic
from tests.helpers.uploading import uploading


def stall(scene: Scene, tally: Tally, times: int) -> None:
    """Keep connections open but pass nothing, for longer than librdkafka waits for a response."""
    seconds = 8.0 if scene.is_quick else 30.0
    with line(scene) as (node, proxy):
        directory, topic = scene.directory(), create_topic(node.internal_bootstrap)
        config = scene.config(proxy.address, batch_num_messages="1", socket_timeout_ms="10000")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                scene.fill(directory, 3, 8_000_000, f"before{number}-")
                upload.wait_for("broken into")
                time.sleep(scene.random.uniform(0.0, 0.3))  # the fault has to strike at a random instant
                proxy.stall()
                began = time.monotonic()
                tally.times += 1
                scene.fill(directory, 20, 100_000, f"meanwhile{number}-")
                upload.wait_for(AWAY, REPORTED_WITHIN_S)
                time.sleep(max(0.0, began + seconds - time.monotonic()))  # the duration of the fault
                proxy.heal()
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
            text = upload.quit()
        tally.require(text.count(AWAY) == times, f"reported {text.count(AWAY)} times: {text}")
        scene.check(tally, directory, topic, node.internal_bootstrap)


def cut(scene: Scene, tally: Tally, times: int) -> None:
    """Reset all connections again and again; every third time, refuse new ones for 3 s."""
    with line(scene) as (node, proxy):
        directory, topic = scene.directory(), create_topic(node.internal_bootstrap)
        config = scene.config(proxy.address, batch_num_messages="1")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                scene.fill(directory, 1, 2_000_000, f"file{number}-")
                time.sleep(scene.random.uniform(0.0, 0.5))  # the fault has to strike at a random instant
                refusing = number % 3 == 0
                proxy.cut(refuse=refusing)
                tally.times += 1
                if refusing:
                    time.sleep(3.0)  # the duration of the fault
                proxy.heal()
            with tally.recovering():
                text = upload.quit()
        tally.require("Traceback" not in text, text)
        scene.check(tally, directory, topic, node.internal_bootstrap)


def delay(scene: Scene, tally: Tally, times: int) -> None:
    """Delay everything, each time by more."""
    with line(scene) as (node, proxy):
        for number in range(times):
            directory, topic = scene.directory(), create_topic(node.internal_bootstrap)
            scene.fill(directory, 3, 1_000_000)
            scene.fill(directory, 30, 1_000, "small")
            proxy.delay((0.2, 0.5, 1.5)[number % 3])
            tally.times += 1
            with uploading(directory, scene.config(proxy.address), topic, "--upload_existing") as upload:
                upload.wait_for("broken into")
                with tally.recovering():
                    text = upload.quit()
            proxy.heal()
            tally.require(
                text.count(AWAY) <= 1 + number % 3, text
            )  # a slow broker is silent, too, but seldom for long enough
            on_topic = scene.check(tally, directory, topic, node.internal_bootstrap)
            tally.require_no_repeats(on_topic)


def change_over_long_line(scene: Scene, tally: Tally, times: int) -> None:
    """Change files while a lane sends them by several Kafka producers; every third time, cut all connections."""
    with line(scene) as (node, proxy):
        proxy.delay(0.015)  # 30 ms there and back
        directory, topic = scene.directory(), create_topic(node.internal_bootstrap)
        config = scene.config(proxy.address)
        options = ("--n_threads", 2, "--logger_file_level", "DEBUG")
        with uploading(directory, config, topic, *options) as upload:
            for number in range(times):
                for name, size in (("small", 2_000), ("large", 3_000_000)):
                    scene.fill(directory, 2, size, name)
                time.sleep(scene.random.uniform(0.0, 0.6))  # the fault has to strike at a random instant
                tally.times += 1
                if number % 3 == 2:
                    proxy.cut(refuse=False)
                    proxy.heal()
                    proxy.delay(0.015)
            with tally.recovering():
                text = upload.quit()
        log = (directory / "LOGS" / "DataFileUploadDirectory.log").read_text()
        tally.require("Traceback" not in text, text)
        tally.require(re.search(r"each lane has up to \d+ Kafka producers", log) is not None, log)
        scene.check(tally, directory, topic, node.internal_bootstrap)
        assert_topic_has_what_is_there(directory, node.internal_bootstrap, topic)


FAULTS = [
    Fault("the network stalls", stall, times=3),
    Fault("the network cuts all connections", cut, times=60, quick=3),
    Fault("the network delays everything", delay, times=3),
    Fault("files change over a long line that is cut", change_over_long_line, times=60, quick=4),
]
