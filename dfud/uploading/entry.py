"""One version of one file on its way, as the ledger keeps it."""

from __future__ import annotations

import enum

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.version import FileVersion
from dfud.messages import FileTask, Ranges

SMALL_FILE = 1 << 20  # bytes; a chunker does files up to this one after another, and larger ones in turn


class State(enum.Enum):
    """Where a file is on its way."""

    WAITING = "for a chunker"
    BEHIND = "an earlier version of the same file, which is with a lane"
    ACTIVE = "with a lane: being read, or read and not yet wholly acknowledged"
    PAUSED = "until it is tried again"
    HELD = "until its writer closes it"
    FAILED = "not to be delivered in this run"


ENDED = (State.HELD, State.FAILED)


class Entry:
    """One version of one file on its way."""

    __slots__ = (
        "acked", "attempts", "chunk_size", "failure", "identity", "known_digest", "lane", "mixed",
        "n_chunks", "read", "recheck", "resume_at", "seen_again", "started", "state", "token", "version",
    )  # fmt: skip

    def __init__(
        self, token: int, version: FileVersion, chunk_size: int, started: str, identity: bytes = b""
    ) -> None:
        """`identity` is that of the version, where the caller knows it already."""
        self.token = token
        self.version = version
        self.identity = identity or version.identity()
        self.chunk_size = chunk_size
        self.n_chunks = count_chunks(version.size, chunk_size)
        self.started = started
        self.acked = RangeSet()
        self.state = State.BEHIND  # until it is put somewhere
        self.lane = -1
        self.read = False  # the producer has all of it
        self.seen_again = False  # since it was given to a chunker: should that not find it, it has come back
        self.recheck = False  # the kernel reported it again: what was read of it before may be no more
        self.mixed = False  # only a part is read for the topic, the rest of it was acknowledged before
        self.known_digest = ""  # for a file that is only compared with what is on the topic already
        self.failure = ""
        self.attempts = 0
        self.resume_at = 0.0

    @property
    def is_small(self) -> bool:
        return self.version.size <= SMALL_FILE

    def task(self) -> FileTask:
        to_send: Ranges = ((1, self.n_chunks),)
        if self.known_digest:
            to_send = ()
        elif self.acked:
            to_send = self.acked.missing(self.n_chunks).ranges()
        return FileTask(self.token, self.version, self.chunk_size, to_send, self.started, self.known_digest)
