"""Ways to carry the messages of one file from process to process: python -m benchmarks.micro.channels

Both ends are driven in turn by one thread, so that the figures are CPU time and no waiting.
"""

from __future__ import annotations

import marshal
import multiprocessing
import os
import pickle
import socket
import struct
from collections.abc import Callable

from benchmarks.micro.timing import best, show
from dfud.core.version import FileVersion
from dfud.messages import FileStart, RunReady
from dfud.pipeline.channel import Channel

_FILES = 16  # in a packet: the chunker sends at least 32 messages at once
_STARTED = "2026-01-01T12:00:00.000+00:00"


def _batch() -> list[object]:
    """Return the messages of some small files, none sharing an object with another, as they don't."""
    messages: list[object] = []
    for number in range(_FILES):
        version = FileVersion(b"run0001/frame%07d.dat" % number, 1024 + number, 1_700_000_000_000_000_000 + number)
        messages.append(FileStart(number + 1000, version, 16384, (), _STARTED[:-1] + str(number % 10)))
        start = number * 1024
        messages.append(
            RunReady(
                number + 1000, 1, 1, start, 1024, start + 1024, os.urandom(8).hex().encode(), os.urandom(16).hex()
            )
        )
    return messages


def _plain(messages: list[object]) -> list[object]:
    """Return the same as bare tuples, a number for the kind first."""
    plain: list[object] = []
    for message in messages:
        if isinstance(message, FileStart):
            plain.append((0, message.token, *tuple(message.version), *message[2:]))
        elif isinstance(message, RunReady):
            plain.append((1, *message))
    return plain


def _rebuilt(plain: list[tuple[object, ...]]) -> list[object]:
    return [
        FileStart(item[1], FileVersion(*item[2:5]), *item[5:]) if item[0] == 0 else RunReady(*item[1:])  # type: ignore[arg-type,call-arg]
        for item in plain
    ]


_RUN = struct.Struct("<QQIQIQ16s32s")


def _structs(messages: list[object]) -> bytes:
    return b"".join(
        _RUN.pack(m.token, m.first, m.n_chunks, m.start, m.length, m.end, m.xxh3_64, m.xxh3_128.encode())
        for m in messages
        if isinstance(m, RunReady)
    )


def _unstructs(data: bytes) -> list[object]:
    return list(_RUN.iter_unpack(data))


def main() -> None:
    messages = _batch()

    def timed(name: str, once: Callable[[], object]) -> None:
        show(name, best(lambda: [once() for _ in range(200)], 200 * _FILES))

    print("encoding and decoding, a file:")
    pickled = pickle.dumps(messages, 5)
    timed("pickle of named tuples", lambda: pickle.dumps(messages, 5))
    timed("    back", lambda: pickle.loads(pickled))
    plain = _plain(messages)
    tuples = pickle.dumps(plain, 5)
    timed("pickle of bare tuples", lambda: pickle.dumps(plain, 5))
    timed("    back", lambda: pickle.loads(tuples))
    timed("    back, named again", lambda: _rebuilt(pickle.loads(tuples)))
    marshalled = marshal.dumps(plain)
    timed("marshal of bare tuples", lambda: marshal.dumps(plain))
    timed("    back", lambda: marshal.loads(marshalled))
    timed("    back, named again", lambda: _rebuilt(marshal.loads(marshalled)))
    timed("struct, of RunReady alone", lambda: _structs(messages))
    packed = _structs(messages)
    timed("    back, as tuples", lambda: _unstructs(packed))

    print("a whole way, a file:")
    one, other = Channel.pair()

    def by_channel() -> object:
        one.send(messages)
        return other.receive()

    timed("dfud.pipeline.channel", by_channel)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def by_marshal() -> object:
        left.send(marshal.dumps(_plain(messages)))
        return _rebuilt(marshal.loads(right.recv(1 << 17)))

    timed("the same socket, marshal, named again", by_marshal)
    ours, theirs = multiprocessing.Pipe()

    def by_pipe() -> object:
        ours.send(messages)
        return theirs.recv()

    timed("multiprocessing.Pipe", by_pipe)
    queue: multiprocessing.SimpleQueue[object] = multiprocessing.SimpleQueue()

    def by_queue() -> object:
        queue.put(messages)
        return queue.get()

    timed("multiprocessing.SimpleQueue", by_queue)

    print("the same, one message at a time, a message:")

    def singly() -> None:
        for message in messages:
            one.send([message])
            other.receive()

    show("dfud.pipeline.channel", best(lambda: [singly() for _ in range(50)], 50 * len(messages)))

    def queued_singly() -> None:
        for message in messages:
            queue.put(message)
            queue.get()

    show("multiprocessing.SimpleQueue", best(lambda: [queued_singly() for _ in range(50)], 50 * len(messages)))


if __name__ == "__main__":
    main()
