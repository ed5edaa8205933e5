"""What passes between the processes. Read this first.

Every message is a small frozen tuple; `dfud.processes.channel` carries them in batches. A `token` is the number
that the supervisor gives to one upload of one version of one file; it is never used again in a run.

    watcher ─Found, Swept, Notice─▶ supervisor ─FileTask─▶ chunker ──────RunReady, FileDropped──────▶ producer
       ▲    (Watching, MovedIn,      │  ▲  ▲                 │ ▲  (RoomAbandoned)                       │  │
       │     DirectoryGone)          │  │  │                 │ │                                        │  │
       └───────Allowance, Sweep──────┘  │  └─FilesRead, FileUnreadable, FileChanged, FileUnchanged      │  │
                                        │                      └───────────────RoomFree─────────────────┘  │
                                        └────Progress, Completed, Recorded, Undelivered, GivenUp, Notice───┘

A download has a supervisor of its own, and fetchers only:

    fetcher ─Fetched, Holds, Given, CaughtUp, Uncommitted, BrokerAway, Notice─▶ supervisor ─Give, Merge─▶ fetcher
"""

from __future__ import annotations

from typing import NamedTuple, Union

from dfud.core.version import FileVersion

Ranges = tuple[tuple[int, int], ...]  # of chunk numbers, inclusive, ascending


class Notice(NamedTuple):
    """A line for the console and the log file, from any worker."""

    level: int  # of `logging`
    text: str


# watcher → supervisor


class WatchStarted(NamedTuple):
    """From now on nothing that is moved into the directory goes unseen; what is below is still being looked at."""


class FolderMovedIn(NamedTuple):
    """A whole folder has come: all in it is wanted, however old it looks."""

    path: bytes


class FileFound(NamedTuple):
    """A file is ready: closed after writing, moved in, or found by a scan."""

    version: FileVersion
    by_event: bool  # the kernel reported it: its content may be new though its size and mtime are not


class SweepDone(NamedTuple):
    """All that was there when the sweep of this number was asked for has been reported."""

    number: int
    is_whole: bool = True  # no folder was left out because it could not be read


class DirectoryGone(NamedTuple):
    """The watched directory itself is not there any more: nothing new is found, and LOGS can't be written."""

    why: str


# supervisor → watcher


class Allowance(NamedTuple):
    """The watcher may report this many files more."""

    files: int


class Sweep(NamedTuple):
    """Report all that is pending, then answer with `SweepDone`; watch on."""

    number: int


# supervisor → chunker


class FileTask(NamedTuple):
    """Read this version of a file, hash all of it, and hand on the chunks in `to_send`."""

    token: int
    version: FileVersion
    chunk_size: int  # bytes
    to_send: Ranges  # empty to send nothing
    started: str  # ISO 8601, for the row
    known_digest: str  # hex digits of xxh3_128 to compare with; "" to upload instead of comparing


# chunker → supervisor


class FilesRead(NamedTuple):
    """Each of these files was read as one consistent version, and is in the producer's hands."""

    tokens: tuple[int, ...]


class FileUnchanged(NamedTuple):
    """The content is that of the known digest: nothing is to be sent."""

    token: int


class FileChanged(NamedTuple):
    """The file is not, or is no longer, the version of the task; what was handed on is no whole version."""

    token: int
    version: FileVersion  # as it is now
    being_written: bool  # somebody has it open for writing: the close will be reported


class FileUnreadable(NamedTuple):
    """The file could not be read."""

    token: int
    gone: bool  # there is no such file any more
    why: str


# chunker → producer


class FileStart(NamedTuple):
    """What the producer has to know of a file whose first run this comes with."""

    token: int
    version: FileVersion
    chunk_size: int  # bytes
    delivered: Ranges  # chunks that an earlier run has had acknowledged
    started: str  # ISO 8601, for the row
    sha512: bytes  # of the whole file, where the wire format needs it; else empty


class RunReady(NamedTuple):
    """Consecutive chunks of a file lie in the ring."""

    token: int
    first: int  # number of the first chunk, 1-based
    n_chunks: int  # 0 where only `xxh3_128` is told
    start: int  # of the bytes in the ring
    length: int  # bytes
    end: int  # ring position that is free again once the run is handed to librdkafka
    xxh3_64: bytes  # 16 hex digits a chunk
    xxh3_128: str  # of the whole file, with its last run; else ""
    file: FileStart | None  # with the first run of a file


class SpaceAbandoned(NamedTuple):
    """What a chunker that died had reserved in the ring and not handed on is nobody's."""

    end: int  # ring position that is free again once all that came before is handed to librdkafka


class FileDropped(NamedTuple):
    """No more runs of this file follow: it changed under the reader, or failed."""

    token: int


# producer → chunker


class SpaceFreed(NamedTuple):
    """The ring has room again; sent to a chunker that waits for it."""


# producer → supervisor


class ChunksAcked(NamedTuple):
    """These chunks have been acknowledged since the last report."""

    token: int
    chunks: Ranges


class FilesCompleted(NamedTuple):
    """Every chunk of these files is acknowledged, and their rows are in the shard on disk."""

    files: tuple[tuple[int, str], ...]  # token and xxh3_128 of the whole file
    recorded: bool  # False where the rows could not be written


class FileUndelivered(NamedTuple):
    """A chunk will not be delivered in this run; what was acknowledged was reported before."""

    token: int
    why: str


class BrokerOutage(NamedTuple):
    """No broker can be reached, for this reason; or, with an empty one, deliveries go on again."""

    why: str
    is_cause: bool = False  # what is to be done is told by it: worth a line though the broker is away already


class DeliveryGivenUp(NamedTuple):
    """While closing, nothing was acknowledged for the whole of message.timeout.ms: the broker is away."""

    why: str


class RowsRecorded(NamedTuple):
    """Rows that could not be written earlier (`FilesCompleted.recorded` false) are on disk now."""

    rows: int


# supervisor → producer


class Drain(NamedTuple):
    """From now on a message that librdkafka gives up on is undelivered, and is not sent again."""


# fetcher → supervisor of a download


class PartReport(NamedTuple):
    """These bytes of a version of a file are in a part of this fetcher."""

    part: bytes  # its identity
    size: int | None  # bytes of the whole; None where it is not told yet
    spans: Ranges  # of bytes, counted from 1; empty: the part is there no longer


class Released(NamedTuple):
    """A part that this fetcher will not touch any more."""

    part: bytes
    name: str  # of its files; "" if there is none
    size: int | None  # bytes of the whole; None where it is not told yet
    digest: str  # of the whole, hex digits; "" where it is not told yet
    spans: Ranges  # of bytes, counted from 1


class Fetched(NamedTuple):
    """What was counted since the last report: the fields of `dfud.downloading.counts.LedgerCounts`."""

    counts: tuple[int, ...]


class CaughtUp(NamedTuple):
    """All that was on the partitions of this fetcher at the start has been read."""


class CommitFailed(NamedTuple):
    """Offsets could not be committed, for this reason; or, with an empty one, they can be again."""

    why: str


# supervisor → fetcher


class Release(NamedTuple):
    """Let go of a part, and answer with `Released`."""

    part: bytes


class Merge(NamedTuple):
    """Take over what others have given of a part."""

    part: bytes
    donors: tuple[Released, ...]


# reader → main process of a verification


class VersionVerdicts(NamedTuple):
    """Versions that are whole on the topic, and paths that it has in other versions than the directory."""

    records: bytes  # of `dfud.verifying.findings.RECORD` bytes each
    paths: bytes  # 8 bytes each


class PartialVersion(NamedTuple):
    """A version of which this reader has found a part only."""

    path: bytes
    size: int | None  # bytes
    mtime_ns: int | None
    chunk_size: int  # bytes, as far as can be told
    algorithm: str
    digest: str  # of the whole, hex digits; "" where it is not told
    spans: Ranges  # of bytes that are there, counted from 1
    bad: tuple[int, ...]  # numbers of the chunks whose bytes are not those of the file in the directory
    is_here: bool  # the directory has a file of this path and size


class ReaderDone(NamedTuple):
    """This reader has read its partitions."""

    messages: int
    bytes: int
    refused: int


class Stop(NamedTuple):
    """To any worker: all is done; write what is unwritten and end."""


Message = Union[
    Notice,
    WatchStarted,
    FolderMovedIn,
    FileFound,
    SweepDone,
    DirectoryGone,
    Allowance,
    Sweep,
    FileTask,
    FilesRead,
    FileUnchanged,
    FileChanged,
    FileUnreadable,
    RunReady,
    SpaceAbandoned,
    FileDropped,
    SpaceFreed,
    ChunksAcked,
    FilesCompleted,
    FileUndelivered,
    BrokerOutage,
    DeliveryGivenUp,
    RowsRecorded,
    Drain,
    PartReport,
    Released,
    Fetched,
    CaughtUp,
    CommitFailed,
    Release,
    Merge,
    VersionVerdicts,
    PartialVersion,
    ReaderDone,
    Stop,
]
