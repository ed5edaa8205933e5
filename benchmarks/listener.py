"""A reader that has subscribed before anything is sent, and notes when each message comes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

_PATIENCE = 30.0  # s


class Listener:
    """Responsible for a thread that reads all of a topic, which is new.

    It notes the time (`time.monotonic`) of every message whose key holds `mark`, by the key's part before a
    "_" that is followed by a chunk number: in our messages the whole key, in OpenMSIStream's the file's name.
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
        partitions = self._consumer.list_topics(topic, timeout=_PATIENCE).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        self._mark = mark
        self._times: defaultdict[bytes, list[float]] = defaultdict(list)
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self._thread.join()
        self._consumer.close()

    def wait_for(self, name: bytes, messages: int, seconds: float = _PATIENCE) -> float | None:
        """Return when the last of so many messages of a file came, or None if they don't within `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._times[name]) >= messages, seconds):
                return None
            return self._times[name][messages - 1]

    def _read(self) -> None:
        while not self._ending:
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            key = message.key() or b""
            if self._mark in key:
                now = time.monotonic()
                with self._changed:
                    self._times[key.partition(b"_")[0]].append(now)
                    self._changed.notify_all()
