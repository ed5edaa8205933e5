"""One verification, put together: the topic read by several processes, then the directory and its tables."""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import msgspec

from dfud.core.assembly import Assembly, missing_chunks
from dfud.core.chunk import SHA512
from dfud.core.names import name_filter
from dfud.core.ranges import RangeSet
from dfud.core.tables import BadRow, CompletedRow, read_completed, version_of
from dfud.core.version import FileVersion
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, StoppedError, WorkerError
from dfud.files.confined import ConfinedTree
from dfud.files.scan import Folder, WatchedTree
from dfud.kafka.config import ClientConfig
from dfud.kafka.consumer import consumer_properties
from dfud.kafka.watermarks import query_partitions
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import read_lines
from dfud.messages import (
    BrokerOutage,
    FromReader,
    Notice,
    PartialVersion,
    ReaderDone,
    ToReader,
    VersionVerdicts,
)
from dfud.processes import links
from dfud.processes.channel import PeerGoneError
from dfud.processes.child import run_in_child
from dfud.processes.dispatch import Dispatcher
from dfud.processes.signals import Signals
from dfud.processes.worker import tune_gc
from dfud.processes.workers import Worker, Workers
from dfud.verifying import reader
from dfud.verifying.findings import DIFFERS, NOT_HERE, SAME, WRONG, Findings, findings, path_mark, record
from dfud.verifying.reader import ReadSettings
from dfud.verifying.report import DIFFERENT, INCOMPLETE, MISSING, THE_SAME, FileVerdict, Report


class VerifyOptions(NamedTuple):
    """What the user asked for."""

    directory: str
    topic: str
    n_threads: int
    upload_regex: str
    json: bool
    print0: bool


class _Nothing:
    """In the place of a lock: nothing is locked, as nothing is written."""

    def close(self) -> None:
        return


def verify(options: VerifyOptions, config: ClientConfig, output: TextIO = sys.stdout) -> int:
    """Compare the directory with the topic; return the exit status. Raises DfudError."""
    properties = consumer_properties(config, "dfud-verify")
    signals = Signals()
    found = run_in_child(signals, query_partitions, options.topic, properties, config.path, False)
    offsets = {number: (each.start, each.end) for number, each in found.items()}
    directory = os.path.realpath(options.directory)
    settings = ReadSettings(directory, options.topic, properties, options.n_threads, offsets)
    collected = _Collected()
    _read(settings, collected, signals)
    known, partials = collected.conclude(directory)
    report = Report(output, options.json, options.print0)
    for verdict in _look_at_files(options, directory, known, partials):
        report.file(verdict)
    has_tables = _look_at_tables(LogsFolder(directory, options.topic), directory, known, report)
    return EXIT_OK if report.finish(collected.read, has_tables) else EXIT_UNDELIVERED


class _Collected:
    """What the readers have sent."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.paths: list[bytes] = []
        self.partials: dict[tuple[bytes, int | None, int | None, str], PartialVersion] = {}
        self.read = ReaderDone(0, 0, 0)

        self.handle: Dispatcher[FromReader] = Dispatcher(
            FromReader,
            {
                VersionVerdicts: self._on_verdicts,
                PartialVersion: self._on_partial,
                ReaderDone: self._on_done,
                BrokerOutage: self._on_outage,
                Notice: self._on_notice,
            },
        )

    def _on_verdicts(self, verdicts: VersionVerdicts) -> None:
        self.records.append(verdicts.records)
        self.paths.append(verdicts.paths)

    def _on_done(self, done: ReaderDone) -> None:
        sums = self.read
        self.read = ReaderDone(sums.messages + done.messages, sums.bytes + done.bytes, sums.refused + done.refused)

    def _on_outage(self, outage: BrokerOutage) -> None:
        print("the broker is away: waiting" if outage.why else "the broker is back", file=sys.stderr)

    def _on_notice(self, notice: Notice) -> None:
        print(notice.text, file=sys.stderr)

    def _on_partial(self, more: PartialVersion) -> None:
        """Bring together what several readers have seen of one version."""
        told = None if more.algorithm == SHA512 else more.size
        key = (more.path, told, more.mtime_ns, more.digest if more.algorithm == SHA512 else "")
        known = self.partials.get(key)
        if known is not None:
            spans = RangeSet(known.spans)
            spans.update(more.spans)
            more = msgspec.structs.replace(
                more,
                size=more.size if more.size is not None else known.size,
                chunk_size=more.chunk_size or known.chunk_size,
                digest=more.digest or known.digest,
                spans=spans.ranges(),
                bad=known.bad + more.bad,
                is_here=known.is_here or more.is_here,
            )
        self.partials[key] = more

    def conclude(self, directory: str) -> tuple[Findings, dict[bytes, PartialVersion]]:
        """Return what is known of whole versions, and by path what is on the topic in part."""
        tree = ConfinedTree(directory)
        left: dict[bytes, PartialVersion] = {}
        for partial in self.partials.values():
            if partial.size is not None and partial.digest and RangeSet(partial.spans).covers(partial.size):
                self.records.append(_judge(tree, partial, partial.size))
            else:
                left[partial.path] = partial
        tree.close()
        self.partials.clear()
        known = findings(self.records, self.paths)
        self.records.clear()
        self.paths.clear()
        return known, left


def _judge(tree: ConfinedTree, partial: PartialVersion, size: int) -> bytes:
    """Give the verdict on a version whose chunks have come to several readers."""
    version = FileVersion(partial.path, size, partial.mtime_ns or 0)
    found = tree.stat_file(partial.path)
    here = None
    state = NOT_HERE
    if found is not None and found.st_size == size and partial.is_here:
        here = FileVersion(partial.path, found.st_size, found.st_mtime_ns)
        state = DIFFERS
        if not partial.bad:
            state = SAME if _has_digest(tree, partial, size) else WRONG
    return record(version, partial.algorithm, partial.digest, here, state)


def _has_digest(tree: ConfinedTree, partial: PartialVersion, size: int) -> bool:
    assembly = Assembly(partial.algorithm, size)
    assembly.digest = partial.digest
    try:
        descriptor = tree.open(partial.path)
    except OSError:
        return False
    try:
        return assembly.verify(lambda length, offset: os.pread(descriptor, length, offset))
    finally:
        os.close(descriptor)


def _read(settings: ReadSettings, collected: _Collected, signals: Signals) -> None:
    """Have the topic read by reader processes; WorkerError if one of them dies."""
    tune_gc()
    workers = Workers(_Nothing())
    readers = [
        workers.start(f"reader-{n}", links.READER, reader.run, (n, settings)) for n in range(settings.workers)
    ]
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(signals.fileno(), selectors.EVENT_READ)
            for worker in readers:
                selector.register(worker.channel.fileno(), selectors.EVENT_READ, worker)
            while len(selector.get_map()) > 1:
                for key, _ in selector.select():
                    if key.data is None:
                        for number in signals.read():
                            raise StoppedError(f"ended by {number.name} before all was compared")
                    elif _hear(key.data, collected):
                        selector.unregister(key.fileobj)
    finally:
        workers.kill_all()


def _hear(worker: Worker[ToReader, FromReader], collected: _Collected) -> bool:
    """Take what a reader has to say; tell whether that is all."""
    try:
        messages = worker.channel.receive(wait=False)
    except PeerGoneError:
        why = worker.cause_of_death()
        raise WorkerError(f"{worker.name} {why} before it had read its part of the topic; try again") from None
    for message in messages:
        collected.handle(message)
    return any(isinstance(message, ReaderDone) for message in messages)


def _look_at_files(
    options: VerifyOptions, directory: str, known: Findings, partials: dict[bytes, PartialVersion]
) -> Iterator[FileVerdict]:
    scan = WatchedTree(os.fsencode(directory), name_filter(options.upload_regex), 0)
    for item in scan.walk(Folder(b"", True)):
        if item is not None:
            yield _verdict(item[0].version, known, partials)


def _verdict(here: FileVersion, known: Findings, partials: dict[bytes, PartialVersion]) -> FileVerdict:
    identity = here.identity()
    if known.same.digest(identity) is not None:
        return FileVerdict(here, THE_SAME)
    partial = partials.get(here.path)
    if known.differing.digest(identity) is not None:
        return FileVerdict(here, DIFFERENT, why="the topic has other bytes of this size")
    if partial is not None and partial.bad:
        return FileVerdict(here, DIFFERENT, why="the topic has other bytes of this size")
    if partial is not None and partial.is_here:
        missing = ""
        if partial.size is not None and partial.chunk_size:
            missing = str(missing_chunks(RangeSet(partial.spans), partial.size, partial.chunk_size))
        return FileVerdict(here, INCOMPLETE, missing)
    if partial is not None or path_mark(here.path) in known.other_paths:
        return FileVerdict(here, DIFFERENT, why="the topic has it in another version only")
    return FileVerdict(here, MISSING)


def _look_at_tables(folder: LogsFolder, directory: str, known: Findings, report: Report) -> bool:
    """Hold the rows of the tables against the topic; tell whether there are tables."""
    try:
        paths = [path for path in (folder.completed, *folder.shards()) if os.path.exists(path)]
    except OSError:
        return False
    tree = ConfinedTree(directory)
    for path in paths:
        for number, row in enumerate(read_completed(read_lines(path)), 1):
            if isinstance(row, BadRow):
                report.row(f"row {row.number} of {path} can't be understood: {row.reason}", b"")
                continue
            if number % 1000 == 0:
                tree.close_folders()
            why = _fault(row, tree, known)
            report.row(why, os.fsencode(row.rel_filepath))
    tree.close()
    return bool(paths)


def _fault(row: CompletedRow, tree: ConfinedTree, known: Findings) -> str:
    """Return what is wrong with what a row calls uploaded, or ""."""
    version = version_of(row)
    found = tree.stat_file(version.path)
    if found is not None and (found.st_size, found.st_mtime_ns) == version[1:]:
        if known.same.digest(version.identity()) is None:
            return "is uploaded by the tables, and its bytes are not those on the topic"
        return ""
    if not known.has(version, bytes.fromhex(row.xxh3_128)):
        return "is uploaded by the tables, and not whole and right on the topic"
    return ""
