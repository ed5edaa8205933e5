"""Read receipts as their readers do."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from dfud.core.receipt import Receipt

_TIMEOUT_S = 20.0


def receipts_on(bootstrap: str, topic: str) -> dict[tuple[str, bytes], Receipt]:
    """Return the last receipt of each receiver and path."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    found: dict[tuple[str, bytes], Receipt] = {}
    try:
        numbers = consumer.list_topics(topic, _TIMEOUT_S).topics[topic].partitions
        for number in numbers:
            low, end = consumer.get_watermark_offsets(TopicPartition(topic, number), _TIMEOUT_S)
            consumer.assign([TopicPartition(topic, number, low)])
            while low < end:
                message = consumer.poll(_TIMEOUT_S)
                assert message is not None
                assert message.error() is None
                low = (message.offset() or 0) + 1
                receipt = Receipt.decode(message.key(), message.value())
                found[receipt.receiver, receipt.path] = receipt
    finally:
        consumer.close()
    return found
