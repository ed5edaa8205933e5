"""A reader that has subscribed before anything is sent, and notes when each message comes."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

_BROKER_TIMEOUT_S = 30.0  # s
_CHUNK_NUMBER = re.compile(rb"_chunk_\d+_of_\d+$")


class Listener:
    """Responsible for a thread that reads all of a topic, which is new.

    It notes the time (`time.monotonic`) of every message whose key holds `mark`, by the name of the file: that is
    our whole key, and OpenMSIStream's without its chunk number.
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
        self._ending = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self._thread.join()
        self._consumer.close()

    def wait_for(self, name: bytes, messages: int, seconds: float = _BROKER_TIMEOUT_S) -> float | None:
        """Return when the last of so many messages of a file came, or None if they don't within `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._times[name]) >= messages, seconds):
                return None
            return self._times[name][messages - 1]

    def wait_for_any(self, seconds: float) -> bool:
        """Return whether any message has come, waiting at most `seconds` for one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._times), seconds)

    def _read(self) -> None:
        while not self._ending:
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
