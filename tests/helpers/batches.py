"""Changing the batches of messages that a broker has on its disk."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from dfud.broker.node import KafkaNode
from tests.helpers.crc32c import crc32c
from tests.helpers.downloading import Record


@contextmanager
def stopped(node: KafkaNode) -> Iterator[None]:
    node.stop()
    yield
    node.start()


@contextmanager
def batches(node: KafkaNode, topic: str) -> Iterator[list[memoryview]]:
    """The batches of partition 0 of a broker that is stopped, to be changed."""
    (path,) = (node.folder.data / f"{topic}-0").glob("*0.log")
    data = bytearray(path.read_bytes())
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at + 8)
        found.append(memoryview(data)[at : at + 12 + length])
        at += 12 + length
    yield found
    path.write_bytes(data)


def correct_checksum(batch: memoryview) -> None:
    batch[17:21] = struct.pack(">I", crc32c(batch[21:]))


def produce_batch(node: KafkaNode, topic: str, records: list[Record]) -> None:
    """Put messages on a topic in one compressed batch."""
    sender = Producer({"bootstrap.servers": node.bootstrap, "compression.type": "gzip", "linger.ms": 500})
    for key, value, headers, _ in records:
        sender.produce(topic, value, key, 0, headers=[*headers])
    sender.flush()
