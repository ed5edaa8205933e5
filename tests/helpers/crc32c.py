"""The checksum of Kafka's batches."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of `data`, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
