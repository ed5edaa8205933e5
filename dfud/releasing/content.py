"""The digest of what an open file holds now."""

from __future__ import annotations

import os

import xxhash

_BLOCK_BYTES = 1 << 20


def digest_of(descriptor: int) -> bytes:
    """Return the xxh3_128 of an open file, read from its beginning; OSError if it cannot be read."""
    state = xxhash.xxh3_128()
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    offset = 0
    while length := os.preadv(descriptor, [buffer], offset):
        state.update(buffer[:length])
        offset += length
    return state.digest()
