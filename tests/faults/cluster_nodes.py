"""A cluster of three nodes with three copies, two of which must be in sync: nodes die and return."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.broker_away import AWAY, BACK, REPORTED_WITHIN_S, wait_until_recorded
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.cluster import Cluster
from tests.helpers.topics import create_topic
from tests.helpers.uploading import Upload, in_progress, uploading, wait_until

_COPIES = 3


@contextmanager
def _cluster(scene: Scene) -> Iterator[tuple[Cluster, str]]:
    """Run a cluster with a topic."""
    with Cluster(scene.path("cluster")) as cluster:
        topic = create_topic(cluster.bootstrap, 4, _COPIES)
        cluster.wait_in_sync(topic)
        yield cluster, topic


def _fill_at_work(scene: Scene, directory: Path, upload: Upload, prefix: str) -> None:
    """Write files and wait until their upload is under way."""
    scene.fill(directory, 3, 6_000_000, prefix)
    upload.wait_for(f"{prefix}.*broken into")
    time.sleep(scene.random.uniform(0.0, 0.3))  # the fault has to strike at a random instant


def kill_nodes(scene: Scene, tally: Tally, times: int) -> None:
    """Kill one node after another during an upload; two are always running."""
    with _cluster(scene) as (cluster, topic):
        directory, config = scene.directory(), scene.config(cluster.bootstrap, batch_num_messages="1")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                _fill_at_work(scene, directory, upload, f"before{number}-")
                node = cluster.nodes[number % len(cluster.nodes)]
                node.kill()
                tally.times += 1
                scene.fill(directory, 10, 100_000, f"meanwhile{number}-")
                with tally.recovering():
                    wait_until_recorded(directory, topic)  # although the node is down
                cluster.start(node)
                cluster.wait_in_sync(topic)
            upload.quit()
        tally.require(not in_progress(directory, topic), "rows are left in the in-progress table")
        scene.check(tally, directory, topic, cluster.bootstrap)


def restart_nodes(scene: Scene, tally: Tally, times: int) -> None:
    """Restart one node after another cleanly, as for an update, during an upload."""
    with _cluster(scene) as (cluster, topic):
        directory, config = scene.directory(), scene.config(cluster.bootstrap, batch_num_messages="1")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                _fill_at_work(scene, directory, upload, f"file{number}-")
                node = cluster.nodes[number % len(cluster.nodes)]
                node.stop()
                tally.times += 1
                cluster.start(node)
                cluster.wait_in_sync(topic)
            with tally.recovering():
                text = upload.quit()
        tally.require("Traceback" not in text, text)
        scene.check(tally, directory, topic, cluster.bootstrap)


def kill_too_many(scene: Scene, tally: Tally, times: int) -> None:
    """Kill two nodes of three, so that nothing can be acknowledged, and restart them."""
    with _cluster(scene) as (cluster, topic):
        directory, config = scene.directory(), scene.config(cluster.bootstrap, batch_num_messages="1")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                _fill_at_work(scene, directory, upload, f"before{number}-")
                dead = [node for at, node in enumerate(cluster.nodes) if at != number % len(cluster.nodes)]
                cluster.kill(*dead)
                tally.times += 1
                scene.fill(directory, 10, 100_000, f"meanwhile{number}-")
                upload.wait_for(AWAY, 2 * REPORTED_WITHIN_S)
                cluster.start(*dead)
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
                cluster.wait_in_sync(topic)
            # A new leader serves reads only up to the offset that it knows all copies to have, which it learns by
            # acknowledging messages itself: so each partition gets some.
            scene.fill(directory, 40, 1_000, "after")
            text = upload.quit()
        tally.require(text.count(AWAY) == times, f"reported {text.count(AWAY)} times: {text}")
        scene.check(tally, directory, topic, cluster.bootstrap)


def starve_of_copies(scene: Scene, tally: Tally, times: int) -> None:
    """Require three copies in sync while one node of three is down: the brokers refuse the messages."""
    with Cluster(scene.path("cluster")) as cluster:
        topic = create_topic(cluster.bootstrap, 4, _COPIES, {"min.insync.replicas": _COPIES})
        cluster.wait_in_sync(topic)
        directory, config = scene.directory(), scene.config(cluster.bootstrap, message_timeout_ms="8000")
        with uploading(directory, config, topic) as upload:
            for number in range(times):
                _fill_at_work(scene, directory, upload, f"before{number}-")
                node = cluster.nodes[number % len(cluster.nodes)]
                node.kill()
                cluster.wait_in_sync(topic, _COPIES - 1)
                tally.times += 1
                scene.fill(directory, 10, 100_000, f"meanwhile{number}-")
                upload.wait_for(f"{AWAY} .*too few replicas in sync", 2 * REPORTED_WITHIN_S)
                time.sleep(10)  # longer than message.timeout.ms
                cluster.start(node)
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
                cluster.wait_in_sync(topic)
            text = upload.quit()
        tally.require(text.count(AWAY) <= 2 * times, f"reported {text.count(AWAY)} times: {text}")
        wait_until(lambda: not in_progress(directory, topic))
        scene.check(tally, directory, topic, cluster.bootstrap)


FAULTS = [
    Fault("each node of three is killed in turn", kill_nodes, times=6),
    Fault("a rolling restart of three nodes", restart_nodes, times=6),
    Fault("two nodes of three are killed", kill_too_many, times=3),
    Fault("not enough replicas in sync", starve_of_copies, times=2),
]
