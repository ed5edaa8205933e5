"""A broker that its clients reach through a proxy, which can be told to misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from dfud.broker.node import KafkaNode
from dfud.broker.ports import free_ports
from tests.faults.scene import Scene
from tests.helpers.proxy import Proxy


class Line(NamedTuple):
    """A broker, and the proxy that its clients connect to."""

    node: KafkaNode
    proxy: Proxy


@contextmanager
def line(scene: Scene) -> Iterator[Line]:
    """Start both."""
    port = free_ports(1)[0]
    with Proxy(port) as proxy:
        with KafkaNode(scene.path("kafka"), port=port, heap_mb=256, advertised_port=proxy.port) as node:
            yield Line(node, proxy)
