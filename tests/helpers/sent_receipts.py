"""Receipts on a topic, sent by hand."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from dfud.core.receipt import Receipt


def send_receipts(bootstrap: str, topic: str, receipts: Iterable[Receipt]) -> None:
    """Send receipts as any program may."""
    send(bootstrap, topic, ((receipt.key.encode(), receipt.encode()) for receipt in receipts))


def send(bootstrap: str, topic: str, messages: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Send keys and values."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for key, value in messages:
        producer.produce(topic, value, key)
    assert producer.flush(30) == 0
