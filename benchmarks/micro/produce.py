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


def _reported(error: object, message: object) -> None:
    pass


def _reported_of(upload: object, number: int, error: object, message: object) -> None:
    pass


def _made(number: int) -> Headers:
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

    def timed(name: str, one: Callable[[int], object]) -> None:
        def all_of_them() -> None:
            for number in range(_MESSAGES):
                one(number)

        timed_whole(name, all_of_them)

    def timed_whole(name: str, all_of_them: Callable[[], object]) -> None:
        least = float("inf")
        for _ in range(9):
            least = min(least, best(all_of_them, _MESSAGES, repeat=1))
            producer.purge(in_queue=True, in_flight=True)
            while len(producer):
                producer.poll(0.01)
        show(name, least)

    timed("produce(value, key)", lambda n: produce("t", value, _KEY))
    timed("... partition given", lambda n: produce("t", value, _KEY, partition=1))
    timed("... on_delivery, a function", lambda n: produce("t", value, _KEY, on_delivery=_reported))
    timed(
        "... on_delivery, a partial",
        lambda n: produce("t", value, _KEY, on_delivery=partial(_reported_of, _KEY, n)),
    )
    timed(
        "... on_delivery, a closure",
        lambda n: produce(
            "t", value, _KEY, on_delivery=lambda error, message: _reported_of(_KEY, n, error, message)
        ),
    )
    timed("... 6 headers, the same list", lambda n: produce("t", value, _KEY, headers=_HEADERS))
    timed("... 6 headers, made", lambda n: produce("t", value, _KEY, headers=_made(n)))
    timed(
        "... 6 headers made, a partial, the value copied",
        lambda n: produce(
            "t",
            bytes(ring[n % 64 * size : n % 64 * size + size]),
            _KEY,
            headers=_made(n),
            on_delivery=partial(_reported_of, _KEY, n),
        ),
    )
    timed("only making the headers", _made)
    timed("only copying the value", lambda n: bytes(ring[n % 64 * size : n % 64 * size + size]))
    batch = getattr(producer, "produce_batch", None)
    if batch is not None:
        messages = [{"value": value, "key": _KEY} for _ in range(_MESSAGES)]
        timed_whole("produce_batch, no headers (it takes none)", lambda: batch("t", messages))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 16384)
