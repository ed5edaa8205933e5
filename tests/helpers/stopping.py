"""Stop a process of another program for a while, with all of its threads."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_POLL_S = 0.005


@contextlib.contextmanager
def stopped_process(pid: int) -> Iterator[None]:
    """Stop a process until the end.

    SIGSTOP takes effect when one of the threads runs next; on a busy machine the others go on until then.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        while not all(_is_stopped(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
            time.sleep(_POLL_S)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_stopped(thread: Path) -> bool:
    state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"
