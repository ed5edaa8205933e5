"""A client that works and delivers nothing is stuck; one that waits, or delivers, is not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dfud.kafka.busy_client import BusyClient, _busy_seconds
from tests.helpers.uploading import wait_until


def test_only_work_without_a_result_counts() -> None:
    now = busy = 100.0
    client = BusyClient(lambda: now, lambda: busy)
    assert not client.check()
    now += 3600.0
    assert not client.check(), "it has only waited"
    for _ in range(3):
        now, busy = now + 9.0, busy + 9.0
        assert not client.check()
        client.on_read()
        assert not client.check()
    now, busy = now + 11.0, busy + 10.0
    assert client.check()
    now += 60.0
    assert client.check(), "only a message is a sign of life"
    client.on_read()
    assert not client.check()


@pytest.mark.parametrize(("name", "counts"), [(b"rdk:broker1", True), (b"another", False)])
def test_the_work_of_the_threads_of_librdkafka_is_measured(name: bytes, counts: bool) -> None:
    is_over = threading.Event()

    def work() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_bytes(name)
        while not is_over.is_set():
            pass

    before = _busy_seconds()
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: _thread_seconds(thread) > 0.2)
    assert (_busy_seconds() > before + 0.1) == counts
    is_over.set()
    thread.join()


def _thread_seconds(thread: threading.Thread) -> float:
    """Return for how long a thread has run."""
    running, _, _ = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text("ascii").split()
    return int(running) / 1e9
