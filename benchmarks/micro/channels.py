"""Ways to carry the messages of one file between processes: python -m benchmarks.micro.channels.

One thread drives both ends in turn, so the figures are CPU time without any waiting.
"""

from __future__ import annotations

import marshal
import multiprocessing
import os
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from benchmarks.micro.timing import best, show
from dfud.core.version import FileVersion
from dfud.messages import FileStart, RunReady
from dfud.processes import links
from dfud.processes.channel import Channel

_FILES = 16  # in a batch
_STARTED = "2026-01-01T12:00:00.000+00:00"


class _Version(NamedTuple):
    path: bytes
    size: int
    mtime_ns: int


class _Start(NamedTuple):
    """What a producer needs to know about a file, as a named tuple."""

    token: int
    version: _Version
    chunk_size: int
    delivered: tuple[tuple[int, int], ...]
    started: str


class _Run(NamedTuple):
    """A run of chunks in the ring, as a named tuple."""

    token: int
    first: int
    n_chunks: int
    start: int
    length: int
    end: int
    xxh3_64: bytes
    xxh3_128: str


def _batch() -> list[Any]:
    """Return the messages of some small files; as in an upload, no two of them share an object."""
    messages: list[Any] = []
    for number in range(_FILES):
        version = _Version(b"run0001/frame%07d.dat" % number, 1024 + number, 1_700_000_000_000_000_000 + number)
        messages.append(_Start(number + 1000, version, 16384, (), _STARTED[:-1] + str(number % 10)))
        start = number * 1024
        digests = os.urandom(8).hex().encode(), os.urandom(16).hex()
        messages.append(_Run(number + 1000, 1, 1, start, 1024, start + 1024, *digests))
    return messages


def _plain(messages: list[Any]) -> list[Any]:
    """Return the same as plain tuples that begin with a number for their type."""
    return [
        (0, message.token, *message.version, *message[2:]) if isinstance(message, _Start) else (1, *message)
        for message in messages
    ]


def _named(plain: list[Any]) -> list[Any]:
    return [
        _Start(item[1], _Version(*item[2:5]), *item[5:]) if item[0] == 0 else _Run(*item[1:]) for item in plain
    ]


def _messages(messages: list[Any]) -> list[RunReady]:
    """Return the same as dfud's messages, in which the start of a file is part of its first run."""
    batch = []
    for start, run in zip(messages[::2], messages[1::2]):
        version = FileVersion(*start.version)
        file = FileStart(start.token, version, start.chunk_size, start.delivered, start.started, sha512=b"")
        batch.append(
            RunReady(
                run.token, run.first, run.n_chunks, run.start, run.length, run.end, run.xxh3_64, run.xxh3_128, file
            )
        )
    return batch


_STRUCT = struct.Struct("<QQIQIQ16s32s")


def _structs(messages: list[Any]) -> bytes:
    runs = [message for message in messages if isinstance(message, _Run)]
    return b"".join([_STRUCT.pack(*run[:-1], run.xxh3_128.encode()) for run in runs])


def main() -> None:
    """Run the benchmark."""
    messages = _batch()

    def timed(name: str, once: Callable[[], object]) -> None:
        show(name, best(lambda: [once() for _ in range(200)], 200 * _FILES))

    print("encoding and decoding, for each file:")
    pickled = pickle.dumps(messages, 5)
    timed("pickle of named tuples", lambda: pickle.dumps(messages, 5))
    timed("    back", lambda: pickle.loads(pickled))
    plain = _plain(messages)
    tuples = pickle.dumps(plain, 5)
    timed("pickle of plain tuples", lambda: pickle.dumps(plain, 5))
    timed("    back", lambda: pickle.loads(tuples))
    timed("    back, as named tuples", lambda: _named(pickle.loads(tuples)))
    marshalled = marshal.dumps(plain)
    timed("marshal of plain tuples", lambda: marshal.dumps(plain))
    timed("    back", lambda: marshal.loads(marshalled))
    timed("    back, as named tuples", lambda: _named(marshal.loads(marshalled)))
    timed("struct, RunReady only", lambda: _structs(messages))
    packed = _structs(messages)
    timed("    back, as tuples", lambda: list(_STRUCT.iter_unpack(packed)))

    batch = _messages(messages)
    encode = msgspec.msgpack.Encoder().encode
    encoded = encode(batch)
    timed("msgspec of structs", lambda: encode(batch))
    timed("    back", lambda: links.LANE.decode_down(encoded))

    print("from end to end, for each file:")
    one, other = Channel.pair(links.LANE)

    def by_channel() -> object:
        one.send(batch)
        return other.receive()

    timed("dfud.processes.channel", by_channel)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def by_marshal() -> object:
        left.send(marshal.dumps(_plain(messages)))
        return _named(marshal.loads(right.recv(1 << 17)))

    timed("the same socket with marshal, as named tuples", by_marshal)
    near, far = multiprocessing.Pipe()

    def by_pipe() -> object:
        near.send(messages)
        return far.recv()

    timed("multiprocessing.Pipe", by_pipe)
    queue: multiprocessing.SimpleQueue[object] = multiprocessing.SimpleQueue()

    def by_queue() -> object:
        queue.put(messages)
        return queue.get()

    timed("multiprocessing.SimpleQueue", by_queue)

    print("one message at a time, for each message:")

    def send_singly() -> None:
        for message in batch * 50:
            one.send([message])
            other.receive()

    def queue_singly() -> None:
        for message in messages * 50:
            queue.put(message)
            queue.get()

    show("dfud.processes.channel", best(send_singly, 50 * len(batch)))
    show("multiprocessing.SimpleQueue", best(queue_singly, 50 * len(messages)))


if __name__ == "__main__":
    main()
