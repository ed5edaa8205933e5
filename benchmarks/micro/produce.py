"""What `produce` costs on the calling thread, without a broker: python -m benchmarks.micro.produce [BYTES]."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

from confluent_kafka import Producer

from benchmarks.micro.timing import best, show
from dfud.core.native import Headers

_MESSAGES = 2000  # at a time; few enough that their memory is used again
_KEY = b"run0001/frame0000001.dat"
_HEADERS: Headers = [
    ("upload_id", b"0123456789abcdef"),
    ("chunk", b"17/8192"),
    ("offset", b"278528"),
    ("size", b"134217728"),
    ("mtime_ns", b"1700000000123456789"),
    ("xxh3_64", b"0123456789abcdef"),
]


def _on_delivery(error: object, message: object) -> None:
    pass


def _on_delivery_of(upload: object, number: int, error: object, message: object) -> None:
    pass


def _make_headers(number: int) -> Headers:
    chunk, offset = b"%d/%d" % (number, 8192), b"%d" % (number * 16384)
    return [_HEADERS[0], ("chunk", chunk), ("offset", offset), _HEADERS[3], _HEADERS[4], ("xxh3_64", b"0" * 16)]


def main(size: int) -> None:
    """Print what each way of calling `produce` costs, for messages of `size` bytes."""
    value = os.urandom(size)
    ring = memoryview(bytearray(value) * 64)
    producer = Producer(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 1_000_000,
            "log_level": 0,
            "enable.idempotence": False,
        }
    )
    produce = producer.produce

    def time_each(name: str, do: Callable[[int], object]) -> None:
        def do_all() -> None:
            for number in range(_MESSAGES):
                do(number)

        time_all(name, do_all)

    def time_all(name: str, do_all: Callable[[], object]) -> None:
        least = float("inf")
        for _ in range(9):
            least = min(least, best(do_all, _MESSAGES, repeat=1))
            producer.purge(in_queue=True, in_flight=True)
            while len(producer):
                producer.poll(0.01)
        show(name, least)

    time_each("produce(value, key)", lambda n: produce("t", value, _KEY))
    time_each("... partition given", lambda n: produce("t", value, _KEY, partition=1))
    time_each("... on_delivery, a function", lambda n: produce("t", value, _KEY, on_delivery=_on_delivery))
    time_each(
        "... on_delivery, a partial",
        lambda n: produce("t", value, _KEY, on_delivery=partial(_on_delivery_of, _KEY, n)),
    )
    time_each(
        "... on_delivery, a closure",
        lambda n: produce(
            "t", value, _KEY, on_delivery=lambda error, message: _on_delivery_of(_KEY, n, error, message)
        ),
    )
    time_each("... 6 headers, the same list", lambda n: produce("t", value, _KEY, headers=_HEADERS))
    time_each("... 6 headers, a new list", lambda n: produce("t", value, _KEY, headers=_make_headers(n)))
    time_each(
        "... 6 new headers, a partial, the value copied",
        lambda n: produce(
            "t",
            bytes(ring[n % 64 * size : n % 64 * size + size]),
            _KEY,
            headers=_make_headers(n),
            on_delivery=partial(_on_delivery_of, _KEY, n),
        ),
    )
    time_each(
        "... the same, arguments by position",
        lambda n: produce(
            "t",
            bytes(ring[n % 64 * size : n % 64 * size + size]),
            _KEY,
            -1,
            partial(_on_delivery_of, _KEY, n),
            None,
            0,
            _make_headers(n),
        ),
    )
    time_each("only making headers", _make_headers)
    time_each("only copying the value", lambda n: bytes(ring[n % 64 * size : n % 64 * size + size]))
    batch = getattr(producer, "produce_batch", None)
    if batch is not None:
        messages = [{"value": value, "key": _KEY} for _ in range(_MESSAGES)]
        time_all("produce_batch, which takes no headers", lambda: batch("t", messages))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 16384)
