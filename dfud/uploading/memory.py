"""How the memory that the user allows is divided between the rings and librdkafka's queues.

Measured (see docs/performance.md): a ring longer than some 16 MB makes an upload slower, because it touches
fresh pages where it could reuse old ones, while librdkafka gains from a few tens of megabytes. What neither can
use is left unused.
"""

from __future__ import annotations

from typing import NamedTuple

MEGABYTE = 1_000_000

_MAX_RING_BYTES = 16 * MEGABYTE
_MIN_RING_CHUNKS = 4  # so that one can be read while others are passed on
_MAX_QUEUE_BYTES = 64 * MEGABYTE
_MIN_QUEUE_BYTES = 8 * MEGABYTE
_MIN_QUEUE_CHUNKS = 4


class Shares(NamedTuple):
    """What each lane may use, in bytes."""

    ring: int
    librdkafka: int


def divide(queue_max_bytes: int, n_lanes: int, chunk_size: int) -> Shares:
    """Divide `queue_max_bytes` between `n_lanes`; a ring may turn out too small for the chunks.

    The sum is at most what is allowed, or the least that librdkafka needs if that is more.
    """
    share = queue_max_bytes // n_lanes
    ring = max(min(share // 3, _MAX_RING_BYTES), min(share, _MIN_RING_CHUNKS * chunk_size))
    min_queue = max(_MIN_QUEUE_BYTES, _MIN_QUEUE_CHUNKS * chunk_size)
    return Shares(ring, max(min_queue, min(share - ring, _MAX_QUEUE_BYTES)))
