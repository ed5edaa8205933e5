"""A model check of the protocol: the real `Ledger`, `Upload`, tables and resuming; modelled processes and files.

Hypothesis drives detection, dispatch, reading, acknowledgements, refusals, reports, tables, deaths, crashes and
changes of files in any order. A file's content is a number; what a chunk holds is the file's content when it was
read. The messages of one worker reach the supervisor in order, those of different workers in any order.

DFUD_MODEL_EXAMPLES sets the number of examples.
"""

from __future__ import annotations

import errno
import io
import logging
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import hypothesis.strategies as st
import xxhash
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import (
    BadRow,
    CompletedRow,
    InProgressRow,
    format_table,
    read_completed,
    read_in_progress,
    stamp_of,
    version_of,
)
from dfud.core.version import FileStamp, FileVersion
from dfud.messages import (
    ChunksAcked,
    FileChanged,
    FileDropped,
    FilesCompleted,
    FilesRead,
    FileStart,
    FileTask,
    FileUnchanged,
    FileUndelivered,
    FileUnreadable,
    Message,
    RunReady,
)
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.cohorts import each_task
from dfud.uploading.entry import ENDED, WITH_LANE, Entry, State
from dfud.uploading.ledger import Ledger
from dfud.uploading.resume import PresentVersion, resume_rows
from dfud.uploading.upload import Upload
from dfud.uploading.wire import NativeMessages
from tests.helpers.recorded import record, recorded_versions

CHUNK = 1 << 20  # so that a file of two chunks is a large one
LANES = 2
PATHS = (b"a", b"a", b"b/\xff", b"b")  # mostly one, whose versions meet; another is a file or a folder
CHANGES = (
    "write", "rewrite within a tick", "write and set times back", "rewrite unnoticed", "replace unnoticed",
    "touch", "close", "remove", "scan", "put back", "move back", "resend",
)  # fmt: skip
FAULTS = (
    "wait", "kill chunker", "kill producer", "crash", "crash and rewrite", "interrupt", "overtake", "cannot read",
    "lease", "refuse", "send again", "give up", "stop pausing",
)  # fmt: skip
COURSE = ("event", "dispatch", "read", "enqueue", "acknowledge", "report", "rows", "hear")
ENDS = ("", "crash", "crash at once", "remove", "give up", "refuse", "kill producer", "kill chunker")
SIZES = (0, CHUNK, 2 * CHUNK, 3 * CHUNK)


@dataclass
class File:
    """An inode."""

    version: FileVersion
    content: int
    stamp: FileStamp
    open: bool = False  # for writing


@dataclass
class Earlier:
    """A version that is no longer in its place."""

    version: FileVersion
    content: int
    file: File | None  # None if it was overwritten


def are_rivals(path: bytes, other: bytes) -> bool:
    """Return whether a directory cannot have two paths at once, because one is a folder of the other."""
    return path.startswith(other + b"/") or other.startswith(path + b"/")


def is_rest(task: FileTask) -> bool:
    """Return whether chunks of the file were sent before."""
    return task.to_send not in ((), ((1, count_chunks(task.version.size, task.chunk_size)),))


def digest_of(contents: tuple[int, ...]) -> str:
    return xxhash.xxh3_128_hexdigest(repr(contents).encode())


@dataclass
class FileReader:
    task: FileTask
    file: File  # an open file can still be read after it is replaced or removed
    opened: FileStamp
    contents: list[int] = field(default_factory=list)
    start: FileStart | None = None  # sent with the first run


class ModelLane:
    """A chunker and a producer, with the messages between them and to the supervisor."""

    def __init__(self) -> None:
        self.chunker: deque[Message] = deque()  # to the supervisor
        self.producer: deque[Message] = deque()
        self.runs: deque[tuple[Message, int]] = deque()  # with the content of the chunk
        self.tasks: deque[FileTask] = deque()
        self.reading: FileReader | None = None
        self.lose_chunker()
        self.lose_producer()

    def lose_chunker(self) -> None:
        self.tasks, self.reading = deque(), None

    def lose_producer(self) -> None:
        self.runs = deque()
        self.uploads: dict[int, Upload] = {}
        self.flying: deque[tuple[Upload, int, int]] = deque()  # upload, chunk, content
        self.unreported: list[Upload] = []
        self.rows: list[CompletedRow] = []
        self.done: list[FilesCompleted] = []


class Protocol(RuleBasedStateMachine):
    """Everything around the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.clock_ns = 0
        self.content = 0
        self.inode = 0
        self.n_found = 0  # reports of the watcher
        self.files: dict[bytes, File] = {}
        self.events: deque[bytes] = deque()  # closed and not yet reported
        self.topic: dict[tuple[FileVersion, int], set[int]] = {}  # the contents of each acknowledged chunk
        self.last: dict[tuple[FileVersion, int], int] = {}  # the content that was acknowledged last
        self.arrived: dict[FileVersion, set[int]] = {}  # chunks of each version since it was complete last
        self.completions: list[FileVersion] = []  # in the order in which a reader has them
        self.earlier: list[Earlier] = []
        self.table = format_table(InProgressRow, [])
        self.shards = format_table(CompletedRow, [])
        self.unnoticed: set[bytes] = set()  # rewritten with the same size and time, before a crash
        self.once_unnoticed: set[FileVersion] = set()  # of `unnoticed`, also those that were replaced since
        self.rewritten: set[bytes] = set()
        self.remembered: set[bytes] = set()  # rewritten, which the ledger knew when the table was last written
        self.silent: set[bytes] = set()  # rewritten since the present run began, without an event
        self.began_ns = 0  # when the present run began
        self.time_us = 0  # the clock of the rows
        self.unproven: list[tuple[FileVersion, str]] = []  # as written last
        self.kept: dict[bytes, set[int]] = {}  # chunks recorded when it began, of unchanged files
        self.start()

    # -- the supervisor

    def start(self) -> None:
        """Begin a run as `dfud.uploading.run` does, with --upload_existing."""
        self.lanes = [ModelLane() for _ in range(LANES)]
        self.index = recorded_versions()
        for completed in self.completed_rows():
            record(self.index, version_of(completed), bytes.fromhex(completed.xxh3_128))
        timed = ((version_of(row).path, row.completed.encode()) for row in self.completed_rows())
        self.index.distrust_again(self.unproven, timed)
        self.ledger = Ledger(CHUNK, LANES, self.index, lambda: "then", self.row_time)
        rows = []
        for row in read_in_progress(io.StringIO(self.table, newline="")):
            assert not isinstance(row, BadRow)
            rows.append(row)
            self.index.distrust(version_of(row), self.row_time())
        no_limit = ChunkLimit("topic", None, {})
        nobody = logging.Logger("nobody", logging.CRITICAL + 1)
        self.keep(rows)
        resume_rows(rows, self.ledger, self.present_version, no_limit, nobody)
        for file in self.files.values():
            if not file.open:
                # Compared until a run ends in an orderly way, which none does here.
                self.find([file], True)
        self.silent.clear()
        self.began_ns = self.clock_ns
        self.write_table()

    def completed_rows(self) -> Iterator[CompletedRow]:
        for row in read_completed(io.StringIO(self.shards, newline="")):
            assert not isinstance(row, BadRow)
            yield row

    def row_time(self) -> str:
        self.time_us += 1
        return f"2026-01-01T00:{self.time_us // 1_000_000:02}:00.{self.time_us % 1_000_000:06}+00:00"

    def keep(self, rows: list[InProgressRow]) -> None:
        """Note which chunks are not to be sent again: those that `rows` record of files that are as they were."""
        self.kept = {}
        for row in rows:
            version = version_of(row)
            file = self.files.get(version.path)
            if file is not None and file.version == version and not self.ledger.is_recorded(version):
                delivered = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
                numbers = {each for first, last in delivered for each in range(first, last + 1)}
                same = file.stamp == stamp_of(row)
                self.kept[version.path] = self.kept.get(version.path, set()) | (numbers if same else set())

    def present_version(self, path: bytes) -> PresentVersion:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "gone")
        return PresentVersion(self.files[path].version, self.files[path].stamp)

    def take(self, message: Message) -> None:
        ledger = self.ledger
        if isinstance(message, FilesRead):
            for token in message.tokens:
                ledger.mark_read(token)
        elif isinstance(message, FileUnchanged):
            ledger.on_unchanged(message.token)
        elif isinstance(message, FileChanged):
            is_in_use = message.being_written and message.is_untouched
            if is_in_use and ledger.take_back(message.token) is not None:
                self.reconsider(message.version.path)
                return
            ledger.on_changed(message.token, message.version, message.being_written, self.now, message.stamp)
        elif isinstance(message, FileUnreadable):
            ledger.on_read_error(message.token, message.gone, message.reason, self.now, message.lease_s)
        elif isinstance(message, ChunksAcked):
            ledger.on_acked(message.token, message.chunks)
        elif isinstance(message, FileUndelivered):
            ledger.on_undelivered(message.token, message.reason)
        elif isinstance(message, FilesCompleted):
            for token, xxh3_128 in message.files:
                cohort = ledger.cohort(token)
                if cohort is not None:
                    at = token - cohort.first
                    one = cohort.identities[at] + bytes.fromhex(xxh3_128)
                    self.index.add_together([cohort.versions[at].path], [one])
                    ledger.on_completed_together(cohort, [token])
                    continue
                entry = ledger.entry(token)
                if entry is not None:
                    record(self.index, entry.version, bytes.fromhex(xxh3_128))
                    ledger.on_completed(token)

    def reconsider(self, path: bytes) -> None:
        """Let the watcher report a file that was in use: now, or when it is closed, which is an event."""
        if path in self.files and not self.files[path].open:
            self.events.append(path)

    def hear_out(self, messages: deque[Message]) -> None:
        while messages:
            self.take(messages.popleft())

    def hear(self, lane: int, producer: bool) -> None:
        messages = self.lanes[lane].producer if producer else self.lanes[lane].chunker
        if messages:
            self.take(messages.popleft())

    def dispatch(self) -> None:
        for lane, task in self.ledger.dispatch():
            self.lanes[lane].tasks.append(task)
        for lane, tasks in self.ledger.dispatch_together():
            self.lanes[lane].tasks.extend(each_task(tasks))
        if self.ledger.replaces_recorded:
            self.ledger.replaces_recorded = False
            self.write_table()

    def write_table(self) -> None:
        self.unproven = self.index.unproven()
        rows = self.ledger.rows()
        self.table = format_table(InProgressRow, rows)
        self.ledger.on_written(rows)
        self.remembered = {path for path in self.rewritten if self.is_remembered(path)}

    def is_remembered(self, path: bytes) -> bool:
        """Return whether the table says that a file, rewritten at the same size and time, is to be sent."""
        entries = self.ledger._entries
        single = entries.latest.get(path)
        entry = single or next((each for each in entries.cohorts.entries() if each.version.path == path), None)
        if entry is None or entry.known_digest or path in self.events or path not in self.files:
            return False
        return entry.version == self.files[path].version

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.resume_paused(self.now)
        next_one = self.ledger.next_resumption
        assert next_one is None or next_one > self.now

    # -- the world

    def write_file(self, path: bytes, size: int, leave_open: bool, in_place: bool) -> None:
        self.clock_ns += 1
        self.content += 1
        here = self.files.get(path)
        if here is None or not in_place:
            self.inode += 1
        stamp = FileStamp(self.clock_ns, here.stamp.inode if here and in_place else self.inode)
        file = File(FileVersion(path, size, self.clock_ns), self.content, stamp, leave_open)
        self.make_room(path, in_place)
        self.kept.pop(path, None)
        if here and in_place:
            vars(here).update(vars(file))
        else:
            self.files[path] = file
        self.silent.discard(path)
        self.rewritten.discard(path)
        self.unnoticed.discard(path)
        if not leave_open:
            self.events.append(path)

    def make_room(self, path: bytes, in_place: bool = False) -> None:
        """Keep what another file replaces at `path`, and move away what is in the way of it."""
        here = self.files.get(path)
        if here is not None:
            self.keep_earlier(here, in_place)
        for other in [each for each in self.files if are_rivals(each, path)]:
            self.remove_file(other)

    def keep_earlier(self, file: File, is_overwritten: bool) -> None:
        if not file.open:
            path = file.version.path
            is_known = not any(path in paths for paths in (self.silent, self.rewritten, self.unnoticed))
            kept = file if is_known and not is_overwritten else None
            self.earlier.append(Earlier(file.version, file.content, kept))

    def put_back(self, path: bytes, which: int) -> None:
        """Move a copy of an earlier version of a file to its place: what was there last is there again."""
        choice = [each for each in self.earlier if each.version.path == path]
        if choice:
            earlier = choice[which % len(choice)]
            self.clock_ns += 1
            self.inode += 1
            stamp = FileStamp(self.clock_ns, self.inode)
            self.place(path, File(earlier.version, earlier.content, stamp))

    def move_back(self, path: bytes, which: int) -> None:
        """Move a file to its place that was moved away with its folder: its ctime and its inode are the same."""
        choice = [each for each in self.earlier if each.version.path == path and each.file is not None]
        if choice:
            earlier = choice[which % len(choice)]
            self.earlier.remove(earlier)
            assert earlier.file is not None
            self.place(path, earlier.file)

    def place(self, path: bytes, file: File) -> None:
        self.make_room(path)
        self.kept.pop(path, None)
        self.files[path] = file
        for paths in (self.silent, self.rewritten, self.unnoticed):
            paths.discard(path)
        self.events.append(path)

    def rewrite_within_a_tick(self, path: bytes) -> None:
        file = self.files.get(path)
        if file is not None and not file.open and file.version.size:
            self.content += 1
            file.content = self.content
            self.kept.pop(path, None)
            if file.stamp.ctime_ns <= self.began_ns:  # its tick has ended: a run takes longer to begin
                self.change_stamp(file)
            self.rewritten.add(path)
            self.remembered.discard(path)
            self.events.append(path)

    def write_and_set_times_back(self, path: bytes, away: int) -> None:
        """Write as `rsync --inplace --times` does: a reader may see a version that exists only for a moment."""
        file = self.files.get(path)
        if file is None or file.open or not file.version.size:
            return
        before = file.version
        self.content += 1
        self.change_stamp(file)
        file.version, file.content, file.open = before._replace(mtime_ns=self.clock_ns), self.content, True
        for lane in range(LANES):
            for _ in range(away):
                self.read(lane)
        self.change_stamp(file)
        file.version, file.open = before, False
        self.rewritten.add(path)
        self.remembered.discard(path)
        self.events.append(path)

    def change_stamp(self, file: File) -> None:
        self.kept.pop(file.version.path, None)
        self.clock_ns += 1
        file.stamp = file.stamp._replace(ctime_ns=self.clock_ns)

    def rewrite_unnoticed(self, path: bytes) -> None:
        """Rewrite a file in place through a mapping, and set its time back: only its ctime shows it, no event."""
        file = self.files.get(path)
        if file is not None and file.version.size:
            self.content += 1
            file.content = self.content
            self.change_stamp(file)
            self.silent.add(path)

    def replace_unnoticed(self, path: bytes) -> None:
        """Put another file of the same size and time in the place of one, without an event."""
        file = self.files.get(path)
        if file is not None and file.version.size and not file.open:
            self.content += 1
            self.inode += 1
            self.clock_ns += 1
            self.kept.pop(path, None)
            self.files[path] = File(file.version, self.content, FileStamp(self.clock_ns, self.inode))
            self.silent.add(path)

    def touch_attributes(self, path: bytes) -> None:
        """Change the ctime of a file, and nothing else, as chmod(2) does."""
        if path in self.files:
            self.change_stamp(self.files[path])

    def close_file(self, path: bytes) -> None:
        """Close a file after writing, or again without having changed it."""
        if path in self.files:
            self.files[path].open = False
            self.events.append(path)

    def remove_file(self, path: bytes) -> None:
        self.kept.pop(path, None)
        file = self.files.pop(path, None)
        if file is not None:
            self.keep_earlier(file, is_overwritten=False)

    def report_event(self) -> None:
        if self.events:
            path = self.events.popleft()
            paths = [path]
            if self.events and self.events[0].rpartition(b"/")[0] == path.rpartition(b"/")[0]:
                paths.append(self.events.popleft())
            self.find([self.files[each] for each in paths if each in self.files], True)

    def scan(self, path: bytes) -> None:
        """Let a scan find a file; in one of two cases nobody has asked whether it is open."""
        file = self.files.get(path)
        is_asked = self.n_found % 2 == 0
        if file is not None and not (is_asked and file.open):
            self.find([file], False, is_asked)

    def find(self, files: list[File], compare: bool, is_asked: bool = True) -> None:
        """Let the watcher report files of one folder: most of them together."""
        self.n_found += 1
        if files and self.n_found % 4:
            stamps = [file.stamp for file in files]
            if self.ledger.on_found_together([file.version for file in files], stamps, is_asked) is not None:
                return
        for file in files:
            self.ledger.on_found(file.version, compare, file.stamp, is_asked)

    def resend(self, path: bytes) -> None:
        """Send a file once more that is on the topic, as retention may have taken it."""
        file = self.files.get(path)
        if file is not None and self.ledger.send_again(file.version, file.stamp) is not None:
            self.kept.pop(path, None)

    # -- chunkers

    def read(self, lane: int) -> None:
        """Let a chunker take one step: open a file, read a chunk, or finish the file."""
        here = self.lanes[lane]
        if here.reading is None:
            if here.tasks:
                self.begin(here, here.tasks.popleft())
            return
        task = here.reading.task
        version = task.version
        n_chunks = count_chunks(version.size, task.chunk_size)
        file = here.reading.file
        if file.version.size < version.size:
            self.lose(here, file)
            return
        here.reading.contents.append(file.content)
        number = len(here.reading.contents)
        whole = ""
        if number == n_chunks:
            whole = digest_of(tuple(here.reading.contents))
            is_touched = file.stamp != here.reading.opened
            again = digest_of((file.content,) * n_chunks)  # by a second reading
            if file.version != version or (is_touched and (is_rest(task) or again != whole)):
                self.lose(here, file)
                return
        send = number in RangeSet(task.to_send)
        if not task.known_digest and (send or whole):
            run = RunReady(task.token, number, int(send), 0, 0, 0, b"", whole, here.reading.start)
            here.reading.start = None
            here.runs.append((run, file.content))
        if whole:
            here.reading = None
            if not task.known_digest:
                here.chunker.append(FilesRead((task.token,)))
            elif task.known_digest == whole:
                here.chunker.append(FileUnchanged(task.token))
            else:
                here.chunker.append(FileChanged(task.token, version, False, file.stamp))

    def begin(self, here: ModelLane, task: FileTask) -> None:
        file = self.files.get(task.version.path)
        if file is None:
            here.chunker.append(FileUnreadable(task.token, True, "gone"))
        elif (
            file.version != task.version
            or (is_rest(task) and file.stamp.differs_from(task.stamp))
            or (file.open and not task.is_asked)
        ):
            here.chunker.append(FileChanged(task.token, file.version, file.open, file.stamp, is_untouched=True))
        else:
            here.reading = FileReader(task, file, file.stamp)
            if not task.known_digest:
                delivered = tuple(RangeSet(task.to_send).missing(count_chunks(task.version.size, CHUNK)))
                here.reading.start = FileStart(task.token, task.version, CHUNK, delivered, "then", b"")

    def lose(self, here: ModelLane, file: File) -> None:
        assert here.reading is not None
        token = here.reading.task.token
        if not here.reading.task.known_digest:
            here.runs.append((FileDropped(token), 0))
        here.chunker.append(FileChanged(token, file.version, file.open, file.stamp))
        here.reading = None

    def fail_to_read(self, lane: int) -> None:
        here = self.lanes[lane]
        if here.reading is not None:
            token = here.reading.task.token
            if not here.reading.task.known_digest:
                here.runs.append((FileDropped(token), 0))
            here.chunker.append(FileUnreadable(token, False, "an input/output error"))
            here.reading = None

    def find_lease(self, lane: int) -> None:
        """Let another program hold a lease on the next file that a chunker opens."""
        here = self.lanes[lane]
        if here.reading is None and here.tasks:
            here.chunker.append(FileUnreadable(here.tasks.popleft().token, False, "leased", 50.0))

    def kill_chunker(self, lane: int, reported: bool) -> None:
        """Kill a chunker; its last messages were sent, or they were not."""
        here = self.lanes[lane]
        if reported:
            self.hear_out(here.chunker)
        here.chunker.clear()
        here.lose_chunker()
        self.ledger.on_lane_death(lane, producer=False)

    # -- producers

    def enqueue(self, lane: int) -> None:
        here = self.lanes[lane]
        if not here.runs:
            return
        message, content = here.runs.popleft()
        if isinstance(message, FileDropped):
            self.drop(here, message.token)
        elif isinstance(message, RunReady):
            start = message.file
            if start is not None:
                self.drop(here, start.token)
                here.uploads[start.token] = Upload(start, NativeMessages(start))
            upload = here.uploads.get(message.token)
            if upload is None:
                return
            if message.xxh3_128:
                upload.xxh3_128 = message.xxh3_128
            if message.n_chunks:
                version = upload.start.version
                assert message.first not in self.kept.get(version.path, ()), f"{version}: sent again"
                here.flying.append((upload, message.first, content))
            if upload.is_complete:
                self.complete(here, upload)

    def drop(self, here: ModelLane, token: int) -> None:
        dropped = here.uploads.pop(token, None)
        if dropped is not None:
            dropped.failure = "dropped"

    def acknowledge(self, lane: int) -> None:
        here = self.lanes[lane]
        if not here.flying:
            return
        upload, number, content = here.flying.popleft()
        self.topic.setdefault((upload.start.version, number), set()).add(content)
        self.last[upload.start.version, number] = content
        self.arrive(upload.start.version, number)
        upload.on_acked(number, number)
        if upload.is_complete:
            self.complete(here, upload)
        elif upload.unreported is None:
            upload.unreported = RangeSet([(number, number)])
            here.unreported.append(upload)
        else:
            upload.unreported.add(number)

    def arrive(self, version: FileVersion, number: int) -> None:
        """Let a reader have a chunk: once a version is complete, others of the path and rivals must begin anew."""
        chunks = self.arrived.setdefault(version, set())
        chunks.add(number)
        if len(chunks) == count_chunks(version.size, CHUNK):
            self.completions.append(version)
            for other in list(self.arrived):
                if other.path == version.path or are_rivals(other.path, version.path):
                    del self.arrived[other]

    def send_again(self, lane: int) -> None:
        """A message is given up by librdkafka, and sent again after the others."""
        here = self.lanes[lane]
        here.flying.rotate(-1)
        if here.flying and here.flying[-1][0].failure:
            here.flying.pop()

    def refuse(self, lane: int) -> None:
        here = self.lanes[lane]
        if here.flying:
            upload = here.flying.popleft()[0]
            if not upload.failure and upload in here.uploads.values():
                upload.failure = "refused"
                self.kept.pop(upload.start.version.path, None)  # if it is closed again, all of it is tried anew
                self.report(lane)
                here.uploads.pop(upload.start.token, None)
                here.producer.append(FileUndelivered(upload.start.token, "refused"))

    def complete(self, here: ModelLane, upload: Upload) -> None:
        token = upload.start.token
        if here.uploads.get(token) is not upload:  # completed before, or dropped
            return
        del here.uploads[token]
        if upload in here.unreported:
            here.unreported.remove(upload)
        (row,) = read_completed(
            io.StringIO(upload.row(self.row_time()).decode("utf-8", "surrogateescape"), newline="")
        )
        assert isinstance(row, CompletedRow)
        here.rows.append(row)
        here.done.append(FilesCompleted(((token, upload.xxh3_128),), True))

    def report(self, lane: int) -> None:
        here = self.lanes[lane]
        for upload in here.unreported:
            assert upload.unreported is not None
            here.producer.append(ChunksAcked(upload.start.token, tuple(upload.unreported)))
            upload.unreported = None
        here.unreported.clear()

    def write_rows(self, lane: int) -> None:
        here = self.lanes[lane]
        self.shards += format_table(CompletedRow, here.rows)
        for row, completed in zip(here.rows, here.done):
            version = version_of(row)
            entry = self.ledger.entry(completed.files[0][0])
            # After a crash no table shows that a file was rewritten at the same size and time. While it is not
            # compared or sent once more, its chunks may be of one content and its digest that of another.
            known = version in self.once_unnoticed or version.path in self.events or (entry and entry.recheck)
            known = known or self.contents_with(row) is not None
            assert known, f"{version} is recorded with a digest that nothing acknowledged has"
        here.rows.clear()
        here.producer.extend(here.done)
        here.done.clear()

    def contents_with(self, row: CompletedRow) -> tuple[int, ...] | None:
        """Return contents of acknowledged chunks that have the digest of `row`, or None."""
        found: list[tuple[int, ...]] = [()]
        for number in range(1, row.n_chunks + 1):
            acknowledged = self.topic.get((version_of(row), number), set())
            found = [(*before, content) for before in found for content in acknowledged]
        return next((contents for contents in found if digest_of(contents) == row.xxh3_128), None)

    def kill_producer(self, lane: int, reported: bool) -> None:
        here = self.lanes[lane]
        if reported:
            self.hear_out(here.producer)
            self.hear_out(here.chunker)
        here.producer.clear()
        here.chunker.clear()
        here.lose_chunker()
        here.lose_producer()
        self.ledger.on_lane_death(lane, producer=True)

    def crash(self, rewritten_path: bytes | None = None) -> None:
        """End the run without a word, and begin another; a file may be rewritten in between."""
        self.unnoticed |= self.rewritten - self.remembered
        self.once_unnoticed |= {self.files[path].version for path in self.unnoticed if path in self.files}
        self.events.clear()
        if rewritten_path is not None:
            self.rewrite_unnoticed(rewritten_path)
        self.start()

    def interrupt(self, path: bytes, n_acked: int, other: bytes | None, end: str) -> None:
        """Put back what is recorded of `other` once chunks of a new file are acknowledged, and let that `end`."""
        if other is not None:
            self.write_file(other, CHUNK, False, False)
        self.send_some(path, n_acked)
        if other is not None:
            self.put_back(other, -1)
        self.end(end, path)

    def end(self, how: str, path: bytes) -> None:
        """Let something happen to what is being sent."""
        if how == "crash":
            self.write_table()
            self.crash()
        elif how == "crash at once":
            self.crash()
        elif how == "remove":
            self.remove_file(path)
        elif how == "give up":
            self.give_up()
        for lane in range(LANES):
            if how == "refuse":
                self.refuse(lane)
            elif how == "kill producer":
                self.kill_producer(lane, reported=True)
            elif how == "kill chunker":
                self.kill_chunker(lane, reported=True)

    def send_some(self, path: bytes, n_acked: int) -> None:
        """Let chunks of a new file be acknowledged, but not all."""
        self.rest()
        self.write_file(path, 3 * CHUNK, False, False)
        self.report_event()
        self.dispatch()
        for lane, here in enumerate(self.lanes):
            while here.tasks or here.reading:
                self.read(lane)
            while here.runs:
                self.enqueue(lane)
            for _ in range(n_acked):
                self.acknowledge(lane)
            self.report(lane)
            self.hear_out(here.producer)

    def overtake(self, path: bytes, n_acked: int, other: bytes, ends: tuple[str, str], is_recorded: bool) -> None:
        """Send some of a file, let that end, and send another version, or a rival, before the file is back."""
        self.send_some(path, n_acked)
        self.end(ends[0], path)
        self.write_file(other, CHUNK, False, False)
        for _ in range(3):
            for lane in range(LANES):
                for step in COURSE[:-2]:
                    self.step(lane, step)
                if is_recorded:
                    self.write_rows(lane)
                    self.hear_out(self.lanes[lane].chunker)
                    self.hear_out(self.lanes[lane].producer)
        self.end(ends[1], other)
        self.move_back(path, -1)

    def give_up(self) -> None:
        for entry in self.ledger.give_up("the broker is away"):
            assert not entry.known_digest
            self.kept.pop(entry.version.path, None)

    def stop_pausing(self) -> None:
        for entry in self.ledger.fail_paused():
            assert entry.attempts > 1
            assert entry.failure
            self.kept.pop(entry.version.path, None)

    @rule(
        lane=st.integers(0, LANES - 1),
        steps=st.lists(st.sampled_from(COURSE), max_size=4),
        far=st.integers(0, 8),
        times=st.integers(1, 5),
    )
    def go_on(self, lane: int, steps: list[str], far: int, times: int) -> None:
        """Let things take their course, `far` steps of it, and then `steps` in any order."""
        for step in [*COURSE[:far], *steps]:
            for _ in range(times):
                self.step(lane, step)

    def step(self, lane: int, step: str) -> None:
        if step == "event":
            self.report_event()
        elif step == "dispatch":
            self.dispatch()
        elif step == "read":
            self.read(lane)
        elif step == "enqueue":
            self.enqueue(lane)
        elif step == "acknowledge":
            self.acknowledge(lane)
        elif step == "report":
            self.report(lane)
        elif step == "rows":
            self.write_rows(lane)
        else:
            self.hear(lane, producer=False)
            self.hear(lane, producer=True)

    @rule()
    def settle(self) -> None:
        """Let everything come to its end: what changes later meets what is recorded."""
        self.rest()

    @rule(data=st.data(), path=st.sampled_from(PATHS), kind=st.sampled_from(CHANGES))
    def change(self, data: st.DataObject, path: bytes, kind: str) -> None:
        if kind == "write":
            self.write_file(
                path, data.draw(st.sampled_from(SIZES)), data.draw(st.booleans()), data.draw(st.booleans())
            )
        elif kind == "rewrite within a tick":
            self.rewrite_within_a_tick(path)
        elif kind == "write and set times back":
            self.write_and_set_times_back(path, data.draw(st.integers(0, 2)))
        elif kind == "rewrite unnoticed":
            self.rewrite_unnoticed(path)
        elif kind == "replace unnoticed":
            self.replace_unnoticed(path)
        elif kind == "touch":
            self.touch_attributes(path)
        elif kind == "close":
            self.close_file(path)
        elif kind == "put back":
            self.put_back(path, data.draw(st.integers(0, 5)))
        elif kind == "move back":
            self.move_back(path, data.draw(st.integers(0, 5)))
        elif kind == "remove":
            self.remove_file(path)
        elif kind == "resend":
            self.resend(path)
        else:
            self.scan(path)

    @rule(data=st.data(), lane=st.integers(0, LANES - 1), kind=st.sampled_from(FAULTS))
    def fail(self, data: st.DataObject, lane: int, kind: str) -> None:
        if kind == "wait":
            self.wait(data.draw(st.sampled_from((0.5, 1.0, 40.0))))
        elif kind == "kill chunker":
            self.kill_chunker(lane, data.draw(st.booleans()))
        elif kind == "kill producer":
            self.kill_producer(lane, data.draw(st.booleans()))
        elif kind in ("crash", "crash and rewrite"):
            if data.draw(st.booleans()):
                self.write_table()
            self.crash(data.draw(st.sampled_from(PATHS)) if kind == "crash and rewrite" else None)
        elif kind == "interrupt":
            path, n_acked = data.draw(st.sampled_from(PATHS)), data.draw(st.integers(1, 3))
            other = data.draw(st.sampled_from((None, *PATHS)))
            self.interrupt(path, n_acked, other, data.draw(st.sampled_from(("", "crash", "give up", "refuse"))))
        elif kind == "overtake":
            path, n_acked = data.draw(st.sampled_from(PATHS)), data.draw(st.integers(1, 2))
            other = data.draw(st.sampled_from([each for each in PATHS if each == path or are_rivals(each, path)]))
            ends = data.draw(st.sampled_from(ENDS)), data.draw(st.sampled_from(ENDS))
            self.overtake(path, n_acked, other, ends, data.draw(st.booleans()))
        elif kind == "cannot read":
            self.fail_to_read(lane)
        elif kind == "lease":
            self.find_lease(lane)
        elif kind == "refuse":
            self.refuse(lane)
        elif kind == "send again":
            self.send_again(lane)
        elif kind == "give up":
            self.give_up()
        else:
            self.stop_pausing()

    # -- what must hold

    @invariant()
    def recorded_chunks_are_acknowledged(self) -> None:
        for row in read_in_progress(io.StringIO(self.table, newline="")):
            assert not isinstance(row, BadRow)
            for first, last in RangeSet.parse(row.chunks_to_send).missing(row.n_chunks):
                for number in range(first, last + 1):
                    assert (version_of(row), number) in self.topic

    @invariant()
    def counters_are_those_of_the_entries(self) -> None:
        check_books(self.ledger, LANES)

    def rest(self) -> None:
        """Let everything that is open come to its end, with a healthy broker."""
        for _ in range(400):
            while self.events:
                self.report_event()
            self.dispatch()
            for lane, here in enumerate(self.lanes):
                while here.tasks or here.reading:
                    self.read(lane)
                while here.runs:
                    self.enqueue(lane)
                while here.flying:
                    self.acknowledge(lane)
                self.report(lane)
                self.write_rows(lane)
                self.hear_out(here.chunker)
                self.hear_out(here.producer)
            if not self.ledger.open_files:
                return
            if self.ledger.next_resumption is not None:
                self.wait(40.0)
        raise AssertionError("something never comes to its end")

    def teardown(self) -> None:
        for path, file in list(self.files.items()):
            if file.open:
                self.close_file(path)
        self.rest()
        assert not any(map(any, self.ledger._entries.loads.unread))
        assert not any(self.ledger._entries.loads.bytes)
        held = {entry.version.path for entry in self.ledger.undelivered if entry.state is State.HELD}
        assert not held & set(self.files), "it is held for a writer who has closed it"
        if self.ledger.undelivered:  # refused or given up: the next run sends them
            self.write_table()
            self.crash()
            self.rest()
        for file in self.files.values():
            self.is_delivered(file)
        gone = {entry.version.path for entry in self.ledger.undelivered}
        assert not gone & set(self.files)

    def is_delivered(self, file: File) -> None:
        rows = list(read_completed(io.StringIO(self.shards, newline="")))
        path = file.version.path
        sent = [each for each in self.completions if each.path == path or are_rivals(each.path, path)]
        assert sent, f"{file.version} is not on the topic"
        assert sent[-1] == file.version, f"{file.version} is on the topic, and {sent[-1]} after it"
        mine = [row for row in rows if isinstance(row, CompletedRow) and version_of(row) == file.version]
        assert mine, f"{file.version} is not recorded"
        if file.version.path in self.unnoticed:  # neither an event nor its times showed that it was rewritten
            return
        content = file.content
        if file.version.path in self.silent:  # the next run would compare it
            content = self.last[file.version, 1]
        whole = digest_of((content,) * mine[-1].n_chunks)
        assert mine[-1].xxh3_128 == whole, f"{file.version} is recorded with an earlier content"
        for number in range(1, mine[-1].n_chunks + 1):
            assert self.last[file.version, number] == content, f"chunk {number} is of another content"


def _folders_of(path: bytes) -> Iterator[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def check_books(ledger: Ledger, n_lanes: int) -> None:
    """Recount what a ledger keeps counts of, and check what is true of all entries."""
    here = ledger._entries
    grouped = {entry.version.path: entry for entry in here.cohorts.entries()}
    entries = [*here.by_token.values(), *grouped.values()]
    all_latest = {**here.latest, **grouped}
    all_ahead = {**here.with_lane, **{path: each for path, each in grouped.items() if each.state in WITH_LANE}}
    assert len(entries) == len(here) == len({entry.token for entry in entries})
    assert len(all_latest) == len(here.latest) + len(grouped) == len(here.latest) + len(here.cohorts.by_path)
    assert list(map(vars, here.pictures_with_lane())) == list(map(vars, all_ahead.values()))
    unread, sizes = [[0, 0] for _ in range(n_lanes)], [0] * n_lanes
    with_lane: dict[bytes, Entry] = {}
    folders = {folder for path in all_ahead for folder in _folders_of(path)}
    for entry in entries:
        latest = all_latest[entry.version.path]
        assert latest is entry or entry.state in WITH_LANE
        ahead = all_ahead.get(entry.version.path)
        above = set(_folders_of(entry.version.path))
        rivals = entry.version.path in folders or not above.isdisjoint(all_ahead)
        assert not (rivals and entry.state in WITH_LANE)
        if ahead is None or ahead is entry:
            assert entry.state is not State.BEHIND or rivals
        elif entry.state is State.FAILED:  # given up, unlike what is only compared and what a lane has
            assert ahead.known_digest or ahead.state is State.GIVEN_UP
        else:
            assert entry.state is State.BEHIND
        waiting = entry.state is State.WAITING and entry.version.path not in grouped
        assert (entry.token in here.waiting_small) == (waiting and entry.is_small)
        assert (entry.token in here.waiting_large) == (waiting and not entry.is_small)
        assert (entry.token in here.last_tries) == (entry.state is State.PAUSED and entry.attempts > 1)
        if entry.state in WITH_LANE:
            assert entry.version.path not in with_lane
            with_lane[entry.version.path] = entry
            sizes[entry.lane] += entry.version.size
            unread[entry.lane][not entry.is_small] += not entry.is_read
    assert (here.loads.unread, here.loads.bytes, all_ahead) == (unread, sizes, with_lane)
    assert here.n_with_lane == len(with_lane)
    assert set(here._lane_folders) == folders
    waiting_paths = {each.versions[0].path for each in here.cohorts.waiting}
    assert waiting_paths <= {path for path, each in grouped.items() if each.state is State.WAITING}
    opened = [entry.version.path for entry in entries if entry.state not in (State.FAILED, State.HELD)]
    assert set(here._folders) == {folder for path in opened for folder in _folders_of(path)}
    left = [entry.version.path for entry in entries if entry.state in (State.FAILED, State.HELD)]
    assert set(here._ended_folders) == {folder for path in left for folder in _folders_of(path)}
    ended = [entry for entry in entries if entry.state in ENDED]
    assert ledger.open_files == len(entries) - len(ended)
    latest_ended = [entry for entry in ended if all_latest[entry.version.path] is entry]
    assert ledger.undelivered == latest_ended
    paused = {entry.token for entry in entries if entry.state is State.PAUSED}
    assert set(here.retries._times) == paused
    paths = [row.rel_filepath for row in ledger.rows()]
    if not ledger.open_files:
        assert len(paths) == len(set(paths)) == len(latest_ended)
    assert set(here.latest.values()) <= set(entries)


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=int(os.environ.get("DFUD_MODEL_EXAMPLES", 5 * settings().max_examples // 2)),
    derandomize="DFUD_MODEL_EXAMPLES" not in os.environ,  # `walk_protocol` searches; the suite repeats
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
