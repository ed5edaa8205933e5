"""How the memory that the user allows is divided between our own queue and those of librdkafka.

Measured (see docs/performance.md): a ring longer than some 16 MB makes an upload slower, because pages are
touched for the first time that could have been used again, while librdkafka gains from a few ten megabytes.
What is left over is not taken.
"""

from __future__ import annotations

from typing import NamedTuple

MEGABYTE = 1_000_000

_RING_ENOUGH = 16 * MEGABYTE
_RING_CHUNKS = 4  # so that one can be read while others are handed on
_QUEUE_ENOUGH = 64 * MEGABYTE
_QUEUE_LEAST = 8 * MEGABYTE


class Shares(NamedTuple):
    """What each lane may take, in bytes."""

    ring: int
    librdkafka: int


def divide(queue_max_bytes: int, n_lanes: int, chunk_size: int) -> Shares:
    """Divide `queue_max_bytes` between `n_lanes`; a ring may come out too small for the chunks.

    The sum is at most what is allowed, or what librdkafka needs at the least if that is more.
    """
    share = queue_max_bytes // n_lanes
    ring = max(min(share // 3, _RING_ENOUGH), min(share, _RING_CHUNKS * chunk_size))
    least = max(_QUEUE_LEAST, 4 * chunk_size)
    return Shares(ring, max(least, min(share - ring, _QUEUE_ENOUGH)))
