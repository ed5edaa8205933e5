"""A consumer that is assigned its partitions before anything is sent, and records when each message arrives."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

_BROKER_TIMEOUT_S = 30.0
_CHUNK_NUMBER = re.compile(rb"_chunk_\d+_of_\d+$")


class Listener:
    """Reads all of a new topic in a thread of its own.

    It records the time (`time.monotonic`) of every message whose key contains `mark`, by the name of the file:
    dfud's whole key, or OpenMSIStream's without its chunk number.
    """

    def __init__(self, bootstrap: str, topic: str, mark: bytes) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "listener",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=_BROKER_TIMEOUT_S).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        self._mark = mark
        self._times: defaultdict[bytes, list[float]] = defaultdict(list)
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._thread.join()
        self._consumer.close()

    def wait_for(self, name: bytes, messages: int, timeout_s: float = _BROKER_TIMEOUT_S) -> float | None:
        """Return when the last of `messages` messages of a file arrived; None after `timeout_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._times[name]) >= messages, timeout_s):
                return None
            return self._times[name][messages - 1]

    def wait_for_any(self, timeout_s: float) -> bool:
        """Return whether any message has arrived, waiting at most `timeout_s` for one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._times), timeout_s)

    def _read(self) -> None:
        while not self._closing:
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            key = message.key() or b""
            if self._mark in key:
                now = time.monotonic()
                name = _CHUNK_NUMBER.sub(b"", key[key.index(self._mark) :])
                with self._changed:
                    self._times[name].append(now)
                    self._changed.notify_all()
