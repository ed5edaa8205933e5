"""Timing a function by the CPU time of the calling thread."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(do: Callable[[], object], times: int, repeat: int = 7) -> float:
    """Return the CPU time of one step (us) if `do` does `times` of them: the least of `repeat` runs."""
    least = float("inf")
    for _ in range(repeat):
        began = time.thread_time()
        do()
        least = min(least, time.thread_time() - began)
    return least / times * 1e6


def show(name: str, microseconds: float, more: str = "") -> None:
    """Print one line of results."""
    print(f"{name:56} {microseconds:8.2f} us {more}".rstrip(), flush=True)
