"""The properties of a Kafka node, and how a Java properties file spells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CLIENT = "CLIENT"
INTERNAL = "INTERNAL"
CONTROLLER = "CONTROLLER"
NODE_ID = 1

_MIB = 1 << 20


class Quorum(NamedTuple):
    """The place of a node in a cluster of several."""

    cluster_id: str
    node_id: int
    controllers: Mapping[int, int]  # the controllers' ports by node id, fixed for the cluster's life


class Ports(NamedTuple):
    """The ports that a node listens on."""

    client: int
    internal: int
    controller: int
    advertised: int  # that clients are sent to; differs from `client` if a proxy is in front of the node


def node_properties(
    host: str, ports: Ports, log_dirs: str, heap_mb: int, quorum: Quorum | None = None
) -> dict[str, str]:
    """Return the broker's properties; `log_dirs` is relative to the folder in which it runs.

    Clients use the listener CLIENT. INTERNAL stays plain text whatever CLIENT is set to (SASL, TLS): the check for
    readiness and administration use it.
    """
    node_id = quorum.node_id if quorum else NODE_ID
    controllers = quorum.controllers if quorum else {NODE_ID: ports.controller}
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        # A fixed quorum, not a dynamic one: a single node's controller port may change with the next start.
        "controller.quorum.voters": ",".join(f"{voter}@{host}:{port}" for voter, port in controllers.items()),
        "controller.listener.names": CONTROLLER,
        "inter.broker.listener.name": INTERNAL,
        "listeners": ",".join(
            f"{name}://{host}:{port}"
            for name, port in (
                (CLIENT, ports.client),
                (INTERNAL, ports.internal),
                (CONTROLLER, ports.controller),
            )
        ),
        "advertised.listeners": f"{CLIENT}://{host}:{ports.advertised},{INTERNAL}://{host}:{ports.internal}",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (CLIENT, INTERNAL, CONTROLLER)),
        "log.dirs": log_dirs,
        # One node holds one copy of everything.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "num.partitions": "4",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # After a crash, the quorum lets a broker in again only when its last session has timed out: the
        # usual 9 s would be most of a restart.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # Messages stay until a user deletes them.
        "log.retention.ms": "-1",
        # One machine, shared with the programs that use it.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        # Bounds that keep the heap from filling with requests, or with the cleaner's 128 MB.
        "queued.max.request.bytes": str(heap_mb * _MIB // 4),
        "socket.request.max.bytes": str(heap_mb * _MIB // 8),
        "log.cleaner.dedupe.buffer.size": str(8 * _MIB),
    }


def render(properties: Mapping[str, str]) -> str:
    r"""Return properties as the text of a Java properties file: ASCII, one a line, the rest escaped.

    >>> render({"a.b": "1", "path": "x\\y"})
    'a.b=1\npath=x\\\\y\n'
    """
    return "".join(f"{_escape(key, key=True)}={_escape(value)}\n" for key, value in properties.items())


def _escape(text: str, *, key: bool = False) -> str:
    """Escape what a properties file gives a meaning to, and what is not printable ASCII."""
    out = []
    for position, character in enumerate(text):
        if character == "\\" or (key and character in " =:#!") or (character == " " and position == 0):
            out.append("\\" + character)
        elif " " <= character <= "~":
            out.append(character)
        else:
            units = character.encode("utf-16-be", "surrogatepass")
            out.extend(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    return "".join(out)
