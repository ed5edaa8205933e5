"""Time a function on the calling thread."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(do: Callable[[], object], times: int, repeat: int = 7) -> float:
    """Return the CPU microseconds of this thread a step, when `do` does `times` steps: the least of `repeat`."""
    least = float("inf")
    for _ in range(repeat):
        began = time.thread_time()
        do()
        least = min(least, time.thread_time() - began)
    return least / times * 1e6


def show(name: str, microseconds: float, more: str = "") -> None:
    print(f"{name:56} {microseconds:8.2f} us {more}".rstrip(), flush=True)
