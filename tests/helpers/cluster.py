"""A Kafka cluster of three nodes, each a broker and a controller, with three copies of everything."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from confluent_kafka.admin import AdminClient

from dfud.broker import ports
from dfud.broker.node import START_TIMEOUT_S, KafkaNode, cluster_id
from dfud.broker.settings import Quorum
from tests.helpers.uploading import wait_until

NODES = (1, 2, 3)
_HEAP_MB = 256
_COPIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # A dead or stopped node leaves the in-sync replicas soon, not after 30 s.
    "replica.lag.time.max.ms": "4000",
}


class Cluster:
    """Three nodes, in folders below `folder`; as with a KafkaNode, the thread that starts it has to outlive it."""

    def __init__(self, folder: Path) -> None:
        controllers = dict(zip(NODES, ports.free_ports(len(NODES))))
        identity = cluster_id()
        self.nodes = [
            KafkaNode(
                folder / f"node{number}",
                heap_mb=_HEAP_MB,
                properties=_COPIES,
                quorum=Quorum(identity, number, controllers),
            )
            for number in NODES
        ]

    def __enter__(self) -> Cluster:
        try:
            self.start(*self.nodes)
        except BaseException:
            self.kill(*self.nodes)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill(*self.nodes)

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes for ``bootstrap.servers``; the same after restarts."""
        return ",".join(node.bootstrap for node in self.nodes)

    @staticmethod
    def start(*nodes: KafkaNode) -> None:
        """Start nodes together and wait until they serve."""
        for node, deadline in [(node, node.launch(2 * START_TIMEOUT_S)) for node in nodes]:
            node.wait_until_ready(deadline)

    @staticmethod
    def kill(*nodes: KafkaNode) -> None:
        """Kill nodes with SIGKILL."""
        for node in nodes:
            node.kill()

    def wait_in_sync(self, topic: str, copies: int = len(NODES)) -> None:
        """Wait until each partition of a topic has a leader and so many copies in sync."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})

        def is_in_sync() -> bool:
            partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions.values()
            return bool(partitions) and all(each.leader >= 0 and len(each.isrs) >= copies for each in partitions)

        wait_until(is_in_sync)
