"""On which partition a message with a key is: as the Java client and librdkafka's ``murmur2_random`` choose it."""

from __future__ import annotations

_SEED, _FACTOR, _MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def murmur2_partition(key: bytes, n_partitions: int) -> int:
    """Return the partition of a key that is not empty.

    >>> murmur2_partition(b"kafka", 1000)
    580
    """
    return (_murmur2(key) & 0x7FFFFFFF) % n_partitions


def _murmur2(data: bytes) -> int:
    digest = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _FACTOR & _MASK
        digest = (digest * _FACTOR & _MASK) ^ ((word ^ word >> 24) * _FACTOR & _MASK)
    if whole < len(data):
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    digest = (digest ^ digest >> 13) * _FACTOR & _MASK
    return digest ^ digest >> 15
