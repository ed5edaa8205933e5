"""One version of one file on its way to the topic, as the ledger keeps it."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion
from dfud.messages import FileTask, Ranges

SMALL_FILE_BYTES = 1 << 20  # a chunker reads files up to this size one after another, larger ones in turn


class State(enum.Enum):
    """How far a file has got."""

    WAITING = "waiting"  # for a chunker with room for it
    BEHIND = "behind"  # an earlier version of the same path that is with a lane
    ACTIVE = "active"  # with a lane: being read, or read and not yet acknowledged entirely
    PAUSED = "paused"  # until its next attempt
    HELD = "held"  # until its writer closes it
    FAILED = "failed"  # will not be delivered in this run
    GIVEN_UP = "given up"  # failed like FAILED, but still with a lane, which may complete it after all


WITH_LANE = (State.ACTIVE, State.GIVEN_UP)
NO_CHUNKS = RangeSet()  # shared, and never changed
ENDED = (State.HELD, State.FAILED, State.GIVEN_UP)  # the run does not wait for these


class Entry:
    """One version of one file; only the ledger changes it.

    Most files go straight to the topic. So what is seldom anything else is a default of the class, which costs
    such a file nothing.
    """

    stamp: FileStamp = UNKNOWN_STAMP  # of the newest report; nothing that is `delivered` was read before it
    acked: RangeSet = NO_CHUNKS  # numbers of the acknowledged chunks
    # The lane that has it, or that had it or an earlier version last; -1 if there is none. What that lane's
    # producer still holds of it is sent before what follows in the same lane, not before another lane's.
    lane: int = -1
    is_read: bool = False  # all of it has been passed to the producer
    is_asked: bool = True  # who writes to it; otherwise a chunker does that, and passes on nothing if anybody may
    # In this run, so that a scan of the next one finds it again; otherwise only the in-progress table knows of it.
    is_found: bool = True
    # Reported since it was dispatched: if the chunker finds it gone, or another file there, it has come back.
    seen_again: bool = False
    recheck: bool = False  # closed again since: what was read of it before may be outdated
    # Its chunks stem from more than one reading. If it was rewritten within a tick of the file system's clock,
    # which its close will report, its digest is not that of its chunks: only sending it anew helps.
    mixed: bool = False
    may_be_sent: bool = False  # the topic may have all of it, although nobody has said so
    was_maybe_sent: bool = False  # the same, before it was dispatched last
    # It has had its stamp since an earlier run, and so all of its chunks are of one content: whoever reports
    # it with the same stamp reports nothing new.
    is_resumed: bool = False
    # A file was sent that is where a folder of its path was, or that lies below its path: readers drop what
    # they had of this one.
    is_overtaken: bool = False
    replaces: bool = False  # something of its path, or at a folder of it, is recorded
    known_digest: str = ""  # hex digits; not empty if it is only compared with what is on the topic already
    failure: str = ""  # why it ended, or why the last attempt failed
    named: str = ""  # the last `failure` that was logged
    attempts: int = 0  # that have failed
    tried_last: bool = False  # or will be, as the program is to end
    lease_ends: float = 0.0  # s, monotonic: until then it is waited for another program's lease; 0 for none

    def __init__(
        self, token: int, version: FileVersion, chunk_size: int, started: str, identity: bytes = b""
    ) -> None:
        """Create an entry in no queue; `identity` is that of `version`, if the caller has computed it already."""
        self.token = token
        self.version = version
        self.folder = version.path.rpartition(b"/")[0]  # that it lies in; b"" for the directory itself
        self.identity = identity or version.identity()
        self.chunk_size = chunk_size  # bytes
        self.n_chunks = count_chunks(version.size, chunk_size)
        self.started = started  # ISO 8601, for its rows
        self.state = State.BEHIND  # until the ledger puts it into a queue
        self.is_small = version.size <= SMALL_FILE_BYTES  # a chunker reads it in one go

    @property
    def is_open(self) -> bool:
        """Whether something of it may still be sent."""
        return self.state is not State.HELD and self.state is not State.FAILED

    @property
    def delivered(self) -> RangeSet:
        """The chunks that need not be sent again.

        None of a file that may have changed since they were read, and none that readers have dropped.
        """
        return RangeSet() if self.recheck or self.is_overtaken else self.acked

    @property
    def acked_bytes(self) -> int:
        """The bytes of the acknowledged chunks."""
        if self.acked is NO_CHUNKS:
            return 0
        acked = len(self.acked) * self.chunk_size
        if self.n_chunks in self.acked:
            acked -= self.n_chunks * self.chunk_size - self.version.size
        return acked

    def on_acked(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Add ranges of chunks to the acknowledged ones."""
        if self.acked is NO_CHUNKS:
            self.acked = RangeSet()
        self.acked.update(chunks)

    def task(self) -> FileTask:
        """Return the task for a chunker."""
        to_send: Ranges = ((1, self.n_chunks),)
        if self.known_digest:
            to_send = ()
        elif self.acked is not NO_CHUNKS and self.acked:
            to_send = self.acked.missing(self.n_chunks).ranges()
        return FileTask(
            *(self.token, self.version, self.chunk_size, to_send, self.started, self.known_digest, self.stamp),
            self.is_asked,
        )
