"""The arithmetic of chunks: how many a file has, where each one lies, which ones are read together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.ranges import RangeSet


class Run(NamedTuple):
    """Consecutive chunks of a file that are read and passed on together."""

    first: int  # number of the first chunk, 1-based
    n_chunks: int
    offset: int  # bytes from the start of the file
    length: int  # bytes


def count_chunks(size: int, chunk_size: int) -> int:
    """Return how many chunks a file of `size` bytes has; an empty file has one empty chunk."""
    return max(1, -(-size // chunk_size))


def chunk_length(number: int, size: int, chunk_size: int) -> int:
    """Return the length in bytes of chunk `number` (1-based) of a file of `size` bytes."""
    return min(chunk_size, size - (number - 1) * chunk_size)


def split_into_runs(chunks: RangeSet, size: int, chunk_size: int, run_bytes: int) -> Iterator[Run]:
    """Cut `chunks` of a file of `size` bytes into runs of at most `run_bytes` (but at least one chunk)."""
    max_chunks = max(1, run_bytes // chunk_size)
    for first, last in chunks:
        for start in range(first, last + 1, max_chunks):
            count = min(max_chunks, last - start + 1)
            offset = (start - 1) * chunk_size
            yield Run(start, count, offset, min(count * chunk_size, size - offset))


def find_chunk_size(size: int, n_chunks: int, preferred: int) -> int | None:
    """Return a chunk size with which a file of `size` bytes has `n_chunks` chunks, or None if there is none."""
    for chunk_size in (preferred, *(1 << power for power in range(63))):
        if count_chunks(size, chunk_size) == n_chunks:
            return chunk_size
    return None


def is_chunk_size(number: int) -> bool:
    """Return whether `number` is a power of two, as a chunk size must be."""
    return number > 0 and number & (number - 1) == 0


def plan_reading(to_send: RangeSet, size: int, chunk_size: int, run_bytes: int) -> Iterator[tuple[Run, bool]]:
    """Return runs that cover the file in order, each with whether it is to be sent or only to be hashed."""
    n_chunks = count_chunks(size, chunk_size)
    if to_send.covers(n_chunks):
        return ((run, True) for run in split_into_runs(to_send, size, chunk_size, run_bytes))
    return _plan_partial_upload(to_send, n_chunks, size, chunk_size, run_bytes)


def _plan_partial_upload(
    to_send: RangeSet, n_chunks: int, size: int, chunk_size: int, run_bytes: int
) -> Iterator[tuple[Run, bool]]:
    parts = [(first, last, True) for first, last in to_send]
    parts += [(first, last, False) for first, last in to_send.missing(n_chunks)]
    for first, last, send in sorted(parts):
        for run in split_into_runs(RangeSet([(first, last)]), size, chunk_size, run_bytes):
            yield run, send
