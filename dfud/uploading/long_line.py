"""More Kafka producers for a lane whose broker is far away: what one of them may have under way is too little.

An idempotent producer of librdkafka sends a partition its next batch once the one before is acknowledged, if that
has five messages or more: it counts messages under way where five requests are meant
(https://github.com/confluentinc/librdkafka/pull/4989). So it carries a batch, of 1 MB, a round trip. Several take
turns, a batch each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfud.kafka.properties import batch_limit

_ROUND_TRIP_S = 0.006  # for which a producer more is worth its connection
_SHORT_S = 0.015  # up to which one will do: a busy broker that is near takes as long to answer
_MAX_PRODUCERS = 8
_TRUE = ("true", "t", "1")  # in librdkafka's properties
_QUEUE = "queue.buffering.max.kbytes"
_MIN_QUEUE_BATCHES = 2


def number_of_producers(round_trip_s: float, properties: Mapping[str, Any]) -> int:
    """Return how many Kafka producers a lane is to have, if a request takes `round_trip_s` (0 if not known).

    `properties` are librdkafka's: a producer that is not idempotent has many batches under way.
    """
    is_idempotent = str(properties.get("enable.idempotence")).lower() in _TRUE
    if round_trip_s < _SHORT_S or not is_idempotent:
        return 1
    return min(int(round_trip_s / _ROUND_TRIP_S), _MAX_PRODUCERS)


def divided(properties: Mapping[str, Any], n_producers: int) -> dict[str, Any]:
    """Return the properties of each of `n_producers`, whose queues together hold what one's would."""
    if n_producers == 1 or _QUEUE not in properties:
        return dict(properties)
    least = _MIN_QUEUE_BATCHES * batch_limit(properties) // 1024 + 1
    return {**properties, _QUEUE: max(int(properties[_QUEUE]) // n_producers, least)}


class VersionOrder:
    """Says before which files everything has to be acknowledged: those that may follow a version of their own.

    Messages of two producers reach a partition in any order, and the version that is last on the topic counts.
    """

    _MAX_PATHS = 10_000  # that are remembered

    def __init__(self) -> None:
        self._begun: set[bytes] = set()  # paths, since everything was acknowledged

    def has_to_wait(self, path: bytes) -> bool:
        """Return whether a file that begins has to wait until everything before it is acknowledged."""
        waits = path in self._begun or len(self._begun) >= self._MAX_PATHS
        if waits:
            self._begun.clear()
        self._begun.add(path)
        return waits
