"""The messages between processes. Read this first.

Each message is a small frozen struct; `dfud.processes.channel` carries them in batches. For each direction between
two processes there is one union of the messages that may arrive; any other is an error where it is received. A
`token` is the number that the supervisor gives to one upload of one version of one file; it is unique in a run.

An upload:

    watcher   ─ FromWatcher ──▶ supervisor ─ ToChunker ──▶ chunker
              ◀── ToWatcher ─              ◀─ FromChunker ─
    chunker   ─ ChunkerToProducer ─▶ producer
              ◀─ ProducerToChunker ─
    producer  ─ FromProducer ─▶ supervisor
              ◀── ToProducer ─
    announcer ─ FromAnnouncer ▶ supervisor
              ◀─ ToAnnouncer ─
    sealer    ─ FromSealer ──▶ supervisor
    releaser  ─ FromReleaser ▶ supervisor
              ◀─ ToReleaser ─
    guard     ─ FromGuard ───▶ supervisor
    supervisor ─ ToMetricsServer ─▶ metrics server

A download has a supervisor, its fetchers and perhaps a process that sends receipts, a verification a main process
and its readers.

Unions are spelled out with `Union` and `Optional` because msgspec evaluates them, which Python 3.9 cannot do for
``X | None``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, Optional, Union

import msgspec

from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion

AnnouncementKind = Literal["heartbeat", "log"]
GapCause = Literal["deleted", "damaged", "cut", "hidden"]
Ranges = tuple[tuple[int, int], ...]  # of chunk numbers, inclusive, ascending

_tags = itertools.count(1)  # the same in all processes, which are forked from one another


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=lambda name: next(_tags)):
    """Base of all messages. A message is encoded as a MessagePack array: its tag, then its fields."""


class Notice(Message, frozen=True):
    """A line for the console and the log file, from any worker."""

    level: int  # of `logging`
    text: str
    file: bytes = b""  # that it is about: its path below the directory
    cause: str = ""


class Stop(Message, frozen=True):
    """To any worker: write what is not yet written, then exit."""


# watcher → supervisor


class WatchStarted(Message, frozen=True):
    """From now on no file that is moved into the directory is missed; the first scan may still be running."""


class FolderMovedIn(Message, frozen=True):
    """A folder was moved in with all that is in it: its files are to be uploaded, however old they look."""

    path: bytes  # relative to the directory


class FileFound(Message, frozen=True):
    """A file is ready: nobody writes to it, or nobody has for a while."""

    version: FileVersion
    compare: bool  # its content may be new even if its size and mtime are not
    ctime_ns: int  # when it was looked at
    inode: int
    keeps_ctime: bool = True  # otherwise the ctime says no more than the mtime
    is_asked: bool = True  # who writes to it; otherwise the chunker has to ask that


class FilesFound(Message, frozen=True):
    """Files of one folder that are ready: what a `FileFound` each would say."""

    versions: Sequence[FileVersion]
    stamps: Sequence[FileStamp]
    compare: bool  # the same of all of them, as is the next one
    is_asked: bool


class FileLeft(Message, frozen=True):
    """A file that this run will not send, although it should: it is being written, or cannot be opened."""

    path: bytes  # relative to the directory
    reason: str  # as in "is still being written"


class FilesBefore(Message, frozen=True):
    """Files that were there before this run, and that it was not asked to send."""

    identities: bytes  # of their versions, 16 bytes each
    is_last: bool  # no more follow


class FilesScanned(Message, frozen=True):
    """Files that a scan has found, and of which the watcher wants to know whether they are recorded."""

    number: int  # of the question
    identities: bytes  # of their versions, 16 bytes each
    folders: bytes  # the keys of all folders that they lie in, 8 bytes each


class SweepDone(Message, frozen=True):
    """Everything that was ready when this sweep was requested has been reported."""

    number: int
    is_whole: bool = True  # no folder was skipped because it could not be read


class LogsDisturbed(Message, frozen=True):
    """Something in LOGS, or LOGS itself, was removed or replaced by someone else."""


class CanaryFound(Message, frozen=True):
    """The canary's file in LOGS was written anew."""


class WatchReport(Message, frozen=True):
    """What is new about how the watcher finds files."""

    polling: Literal["none", "part", "all"]  # how much of the directory is polled
    rescans: int  # since the last report
    overflows: int  # of inotify's queue, since the last report
    unread_folders: int  # that cannot be read now


class DirectoryGone(Message, frozen=True):
    """The watched directory is gone: no more files will be found, and LOGS cannot be written."""

    reason: str


# supervisor → watcher


class Allowance(Message, frozen=True):
    """The watcher may report this many more files."""

    files: int


class Sweep(Message, frozen=True):
    """Report everything that is ready now, then answer with `SweepDone`; keep watching."""

    number: int


class Reconsider(Message, frozen=True):
    """A file that was reported without asking is not ready: report it when it is, or as one that is left."""

    path: bytes


class FilesUnrecorded(Message, frozen=True):
    """The answer to a `FilesScanned`."""

    number: int  # of the question
    positions: tuple[int, ...]  # of the files in it that may not be recorded, from 0


class LogsReplaced(Message, frozen=True):
    """LOGS was created again: this is the folder that holds nothing to be uploaded now."""

    device: int
    inode: int


# supervisor → chunker


class FileTask(Message, frozen=True):
    """Read this version of a file, hash all of it, and pass on the chunks in `to_send`."""

    token: int
    version: FileVersion
    chunk_size: int  # bytes
    to_send: Ranges  # of chunk numbers; empty to send nothing
    started: str  # ISO 8601, for the row in the table
    known_digest: str  # hex digits of the xxh3_128 to compare with; "" to upload instead of comparing
    # When it was reported; it must still have it if chunks of it were sent before.
    stamp: FileStamp = UNKNOWN_STAMP
    is_asked: bool = True  # who writes to it; otherwise it is passed on only if nobody does


class FilesTask(Message, frozen=True):
    """Read these versions of files, and pass all of each on: what a `FileTask` each would say."""

    first: int  # token of the first one; the others have those after it
    versions: Sequence[FileVersion]
    stamps: Sequence[FileStamp]
    chunk_size: int  # bytes
    started: str  # ISO 8601, for the rows in the table
    is_asked: bool


class CanaryTask(Message, frozen=True):
    """Read the canary's file in LOGS, and pass it on."""

    number: int
    lane: int


# chunker → supervisor


class FilesRead(Message, frozen=True):
    """Each of these files was read as one consistent version, and all of it was passed to the producer."""

    tokens: tuple[int, ...]


class FileUnchanged(Message, frozen=True):
    """The content has the known digest: there is nothing to send."""

    token: int


class FileChanged(Message, frozen=True):
    """The file is not, or is no longer, the version of the task; what was passed on is not a complete version."""

    token: int
    version: FileVersion  # what is there now
    # A process has it open for writing, or nobody can tell: the watcher will report when it is ready.
    being_written: bool
    stamp: FileStamp = UNKNOWN_STAMP  # when it was looked at
    is_untouched: bool = False  # nothing of it was passed on


class FileUnreadable(Message, frozen=True):
    """The file could not be read."""

    token: int
    gone: bool  # it no longer exists
    reason: str
    lease_s: float = 0.0  # another program holds a lease on it, which the kernel ends within this time


# chunker → producer


class FileStart(Message, frozen=True):
    """What the producer needs to know about a file; sent with its first run."""

    token: int
    version: FileVersion
    chunk_size: int  # bytes
    delivered: Ranges  # of chunks that were acknowledged in an earlier run of the program
    started: str  # ISO 8601, for the row in the table
    sha512: bytes  # of the file if the wire format needs it, otherwise empty


class RunReady(Message, frozen=True):
    """A run of consecutive chunks of a file lies in the ring."""

    token: int
    first: int  # number of the first chunk, 1-based
    n_chunks: int  # 0 if this message only carries `xxh3_128`
    start: int  # of the bytes in the ring
    length: int  # bytes
    end: int  # ring position to free once the run is in librdkafka's queue
    xxh3_64: bytes  # 16 hex digits for each chunk
    xxh3_128: str  # of the file, with its last run, otherwise ""
    file: Optional[FileStart]  # with the first run of a file


class SpaceAbandoned(Message, frozen=True):
    """A dead chunker had reserved space in the ring that it did not pass on; no other message frees it."""

    end: int  # ring position to free once everything before it is in librdkafka's queue


class FileDropped(Message, frozen=True):
    """No more runs of this file follow: it changed while it was read, or could not be read to its end."""

    token: int


class CanaryRead(Message, frozen=True):
    """What the canary's file has is to be sent to the topic of the canaries."""

    number: int
    lane: int
    data: bytes


# producer → chunker


class SpaceFreed(Message, frozen=True):
    """The ring has room again; sent to a chunker that waits for it."""


# producer → supervisor


class ChunksAcked(Message, frozen=True):
    """These chunks have been acknowledged since the last report."""

    token: int
    chunks: Ranges


class FilesCompleted(Message, frozen=True):
    """Every chunk of these files is acknowledged, and their rows are in the shard on disk."""

    files: tuple[tuple[int, str], ...]  # token and xxh3_128 of each file
    recorded: bool  # False if the rows could not be written


class FileUndelivered(Message, frozen=True):
    """A chunk will not be delivered in this run; the chunks that were acknowledged have been reported before."""

    token: int
    reason: str
    is_too_large: bool = False  # smaller chunks might be accepted
    chunk: int = 0  # its number; 0 if it is not known


class BrokerOutage(Message, frozen=True):
    """No broker can be reached, for this reason; if the reason is empty, a broker has been reached again."""

    reason: str
    is_cause: bool = False  # the reason says what the user can do: worth a line even during an outage


class BrokerSlow(Message, frozen=True):
    """The broker acknowledges, but slowly, for this reason; if the reason is empty, it is quick again."""

    reason: str


class TopicFindings(Message, frozen=True):
    """What is wrong with the topic now: whether that loses or stops what is sent, and a line for each."""

    findings: tuple[tuple[bool, str], ...]


class BrokerSilent(Message, frozen=True):
    """No broker has answered a question about the topic, for this reason; if it is empty, one has again.

    It is asked although nothing is being sent, so that a broker that goes away is noticed then, too.
    """

    reason: str


class DeliveryGivenUp(Message, frozen=True):
    """While draining, nothing was acknowledged in any lane for as long as message.timeout.ms."""

    reason: str


class TopicHarmed(Message, frozen=True):
    """Something that was sent to the topic is lost, or will be."""

    text: str
    is_anew: bool = False  # the topic was made anew: nothing that was acknowledged before is on it
    topic_id: str = ""  # of the new topic, if the broker says it


class RowsRecorded(Message, frozen=True):
    """Rows that could not be written earlier (`FilesCompleted.recorded` was false) are on disk now."""

    rows: int


class CanaryDelivered(Message, frozen=True):
    """The broker has acknowledged a canary, or it could not be delivered for a reason."""

    number: int
    lane: int
    reason: str = ""


class ClientStatistics(Message, frozen=True):
    """What librdkafka says of the Kafka producer of a lane, if metrics are wanted."""

    lane: int
    queued_messages: int  # in librdkafka, not acknowledged
    queued_bytes: int
    connections: int  # that can be used
    round_trip_p99_s: Optional[float]  # s, the longest of all brokers; None if nothing was asked
    counts: tuple[int, ...]  # since the last report: the fields of `dfud.uploading.client_statistics.ClientCounts`


# supervisor → producer


class Drain(Message, frozen=True):
    """From now on, give up if nothing is acknowledged, in any lane, for as long as message.timeout.ms."""


class ShardsDisturbed(Message, frozen=True):
    """LOGS, or something in it, was removed or replaced: write the present shard again if it is gone."""


# supervisor → metrics server


class RunDescribed(Message, frozen=True):
    """How the run is doing."""

    status: bytes  # JSON of a `dfud.logs.upload_status.UploadStatus`


# sealer → supervisor


class RunSealed(Message, frozen=True):
    """The manifest of a run is on the topic, and so is each file in it."""

    n_files: int
    n_bytes: int


class RunUnsealed(Message, frozen=True):
    """A run could not be sealed."""

    reason: str
    is_marker_gone: bool = False  # its marker is not there any more, or is another version
    is_waiting: bool = False  # it may only be a matter of time: files of it are not on the topic


# releaser → supervisor


class ReleaseEnded(Message, frozen=True):
    """A release has ended."""

    n_files: int  # that it has removed
    n_bytes: int
    cpu_s: float  # that it took
    trouble: str = ""  # why it could not do all that it should have


# guard → supervisor


class ReceiverBehind(NamedTuple):
    """How far one receiver is behind."""

    receiver: str  # its name, escaped
    n_files: int  # that it has not received
    n_bytes: int  # of them
    left_s: Optional[float]  # until retention takes the first of them, at least; None for never
    n_lost: int  # files of them that are not on the topic any more


class RetentionReport(Message, frozen=True):
    """What receivers have not received, and what retention takes of it, as it was found by one look."""

    receivers: tuple[ReceiverBehind, ...]
    n_due: int  # files that it may take soon
    first_due: bytes  # path of the first of them
    left_s: float  # until it may take that one
    n_lost: int  # files that it has taken since the look before
    first_lost: bytes  # path of the first of them
    settings: str  # of the topic, to be changed
    n_gone: int = 0  # of the files that should be sent again: those that are not in the directory any more


class FilesToResend(Message, frozen=True):
    """Files to be sent again, as they were when they were looked at."""

    files: tuple[tuple[FileVersion, FileStamp], ...]


class LookFailed(Message, frozen=True):
    """It cannot be found out what receivers have not received; empty if it can again."""

    reason: str


# fetcher → supervisor of a download


class PartReport(Message, frozen=True):
    """This fetcher has these bytes of a version of a file."""

    part: bytes  # its identity
    size: Optional[int]  # bytes of the file; None while it is unknown
    spans: Ranges  # of bytes, counted from 1; empty if the fetcher no longer has the part


class Released(Message, frozen=True):
    """A part that this fetcher no longer uses."""

    part: bytes
    name: str  # of its files; "" if there are none
    size: Optional[int]  # bytes of the file; None while it is unknown
    digest: str  # of the file, hex digits; "" while it is unknown
    spans: Ranges  # of bytes, counted from 1
    first: str = ""  # where its first message was sent: the text of a `dfud.core.sent.Sent`
    sent: str = ""  # where its last message was sent, likewise


class Fetched(Message, frozen=True):
    """What has been counted since the last report: the fields of `dfud.downloading.counts.DownloadCounts`."""

    counts: tuple[int, ...]
    to_read: int = 0  # messages, up to where this run is to end


class CaughtUp(Message, frozen=True):
    """Everything that was on this fetcher's partitions at the start has been read."""


class Gap(Message, frozen=True):
    """Offsets that were not read; all but hidden ones never will be."""

    topic_id: str  # "" if it is not known, or does not matter
    partition: int
    first: int  # offset
    last: int  # offset, inclusive
    cause: GapCause
    reason: str  # of librdkafka, or what to do; "" if the cause says all


class Hidden(Message, frozen=True):
    """An open transaction has hidden these offsets for some time; `last` before `first` if it has ended."""

    partition: int
    first: int
    last: int


class TopicReplaced(Message, frozen=True):
    """The topic was deleted and made anew; it is read from its beginning."""

    topic_id: str


class TopicGone(Message, frozen=True):
    """The topic was deleted, or is there again."""

    is_gone: bool


class ReadRefused(Message, frozen=True):
    """The broker refuses to let this fetcher read, for this reason; if the reason is empty, it no longer does."""

    reason: str


class UnfinishedElsewhere(Message, frozen=True):
    """Another member of the group has not read, or not completed, all of a partition."""

    partition: int
    first: int  # offset from which on


class CommitFailed(Message, frozen=True):
    """Offsets could not be committed, for this reason; if the reason is empty, they are committed again."""

    reason: str


class FilesPlaced(Message, frozen=True):
    """Files are in their places and synced, and receipts of them are owed.

    Also from the supervisor to the process that sends receipts, with another number.
    """

    number: int  # of this message, ascending
    n_files: int
    files: bytes  # a packed list of `dfud.downloading.owed_receipts.PlacedFile`


# supervisor → fetcher


class Release(Message, frozen=True):
    """Stop using a part, and answer with `Released`."""

    part: bytes


class Merge(Message, frozen=True):
    """Merge what other fetchers have released of a part into your own."""

    part: bytes
    donors: tuple[Released, ...]


# supervisor → fetcher, and the process that sends receipts → supervisor


class ReceiptsSent(Message, frozen=True):
    """All receipts of one `FilesPlaced` are on their topic."""

    number: int  # of that message


# the process that sends receipts → supervisor


class ReceiptsDelayed(Message, frozen=True):
    """Receipts cannot be sent, for this reason; if the reason is empty, they are sent again."""

    reason: str


class ReceiptRefused(Message, frozen=True):
    """The broker takes no receipt of this file: it is too large."""

    path: bytes
    reason: str


class EarlierFilesSent(Message, frozen=True):
    """All receipts of files that earlier runs have put in place are on their topic, or have to be sent again."""

    n_files: int
    is_done: bool


# supervisor → the process that puts runs in their places


class FinishRuns(Message, frozen=True):
    """Nothing more will arrive: put in place what is whole, name what is not, and answer with `RunsFinished`."""


# the process that puts runs in their places → supervisor


class RunsWaiting(Message, frozen=True):
    """How many runs there are now of which a manifest was read, and that are not in their places."""

    number: int


class RunsFinished(Message, frozen=True):
    """All runs of which manifests were read are in their places, but for those that were named."""

    n_left: int  # those


# reader → main process of a verification


class VersionVerdicts(Message, frozen=True):
    """Versions that are complete on the topic."""

    records: bytes  # of `dfud.verifying.findings.RECORD_BYTES` bytes each
    clashes: bytes  # of `dfud.verifying.findings.CLASH_BYTES` bytes each


class ManifestRead(Message, frozen=True):
    """A message of a manifest of the run that is verified."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    place: bytes  # 16 bytes, as `dfud.core.place.pack` returns it


class PartialVersion(Message, frozen=True):
    """A version of which this reader has found only a part."""

    path: bytes
    size: Optional[int]  # bytes
    mtime_ns: Optional[int]
    chunk_size: int  # bytes; 0 if unknown
    algorithm: str
    digest: str  # of the file, hex digits; "" if unknown
    spans: Ranges  # of the bytes that were found, counted from 1
    is_bad: bool  # some bytes differ from those of the file in the directory
    is_here: bool  # the directory has a file of this path and size
    sent: bytes  # 16 bytes: the place of its last message, as `dfud.core.place.pack` returns it


class ReadFailed(Message, frozen=True):
    """A partition cannot be read to its end."""

    reason: str  # with the advice what to do
    is_forbidden: bool  # the user of the configuration file lacks a right


class Checked(Message, frozen=True):
    """What this reader has read since it said so last."""

    messages: int
    bytes: int


class ReaderDone(Message, frozen=True):
    """This reader has read its partitions to the end."""

    messages: int
    bytes: int
    refused: int
    dropped: int = 0  # versions that were not checked, because too many were incomplete


# supervisor → announcer


class Announcement(Message, frozen=True):
    """A heartbeat, or lines of the log, to be sent to the topic for them."""

    kind: AnnouncementKind
    number: int  # of the announcement, unique in a run
    value: bytes  # of the message


# announcer → supervisor


class Announced(Message, frozen=True):
    """An announcement was acknowledged or, if there is a reason, will not be."""

    kind: AnnouncementKind
    number: int
    reason: str
    is_too_large: bool = False  # a smaller one might be accepted


class AnnouncementDelayed(Message, frozen=True):
    """An announcement waits in librdkafka, for this reason."""

    kind: AnnouncementKind
    reason: str


# What may arrive at each end of a channel

FromWatcher = Union[
    Notice,
    WatchStarted,
    FolderMovedIn,
    FileFound,
    FilesFound,
    FileLeft,
    FilesBefore,
    FilesScanned,
    SweepDone,
    LogsDisturbed,
    WatchReport,
    DirectoryGone,
    CanaryFound,
]
ToWatcher = Union[Allowance, Sweep, Reconsider, FilesUnrecorded, LogsReplaced, Stop]
FromChunker = Union[Notice, FilesRead, FileUnchanged, FileChanged, FileUnreadable]
ToChunker = Union[FileTask, FilesTask, CanaryTask, Stop]
ChunkerToProducer = Union[RunReady, SpaceAbandoned, FileDropped, CanaryRead]
ProducerToChunker = SpaceFreed
FromProducer = Union[
    Notice,
    TopicHarmed,
    ChunksAcked,
    FilesCompleted,
    FileUndelivered,
    BrokerOutage,
    BrokerSilent,
    BrokerSlow,
    DeliveryGivenUp,
    RowsRecorded,
    TopicFindings,
    CanaryDelivered,
    ClientStatistics,
]
ToProducer = Union[Drain, ShardsDisturbed, Stop]
FromSealer = Union[Notice, RunSealed, RunUnsealed]
ToSealer = Stop
FromReleaser = Union[Notice, ReleaseEnded]
ToReleaser = Stop
FromGuard = Union[Notice, RetentionReport, FilesToResend, LookFailed]
ToGuard = Stop
FromMetricsServer = Notice
ToMetricsServer = RunDescribed
FromFetcher = Union[
    Notice,
    PartReport,
    Released,
    Fetched,
    CaughtUp,
    CommitFailed,
    BrokerOutage,
    Gap,
    Hidden,
    TopicReplaced,
    TopicGone,
    ReadRefused,
    UnfinishedElsewhere,
    FilesPlaced,
]
ToFetcher = Union[Release, Merge, ReceiptsSent, Stop]
FromReceiptSender = Union[Notice, ReceiptsSent, ReceiptsDelayed, ReceiptRefused, EarlierFilesSent]
ToReceiptSender = Union[FilesPlaced, Stop]
FromRunPlacer = Union[Notice, RunsWaiting, RunsFinished]
ToRunPlacer = Union[FinishRuns, Stop]
FromReader = Union[
    Notice,
    Checked,
    VersionVerdicts,
    ManifestRead,
    PartialVersion,
    ReaderDone,
    ReadFailed,
    BrokerOutage,
    Gap,
    TopicReplaced,
]
ToReader = Stop
FromAnnouncer = Union[Notice, Announced, AnnouncementDelayed]
ToAnnouncer = Union[Announcement, Stop]
