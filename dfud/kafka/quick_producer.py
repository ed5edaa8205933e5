"""Kafka producers that are ready to send as soon as the broker's answers are there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from dfud.kafka.properties import is_idempotent

_TIMES = 2  # once by the bootstrap connection, once by that to the broker it names
_TIMEOUT_S = 10.0


def quick_producer(properties: Mapping[str, Any], topic: str) -> Producer:
    """Return a producer that gets its producer id without a pause; KafkaException if its settings are refused.

    An idempotent producer of librdkafka needs a connection to a broker that it knows by its id, and looks for one
    when metadata arrive, or else every half second
    (https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_idempotence.c). The first metadata come by
    the bootstrap connection, too early for that. So without help two of these half seconds pass before the first
    message is sent to a broker that is a millisecond away or more: time in which nothing happens. Asking for
    metadata twice, in a thread of its own, makes them come when they help.
    """
    producer = Producer(dict(properties))
    if is_idempotent(properties):
        threading.Thread(target=_ask, args=(producer, topic), daemon=True).start()
    return producer


def _ask(producer: Producer, topic: str) -> None:
    """Ask for metadata; if no broker answers, librdkafka goes on by itself."""
    with contextlib.suppress(KafkaException):
        for _ in range(_TIMES):
            producer.list_topics(topic, _TIMEOUT_S)
