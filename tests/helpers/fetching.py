"""The inside of a fetcher on a real folder, with the test in place of Kafka and of the supervisor."""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dfud.core.decode import read_chunk
from dfud.core.text import printable
from dfud.downloading.assembler import Assembler
from dfud.downloading.checkpoint import Checkpoints
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk, DiskReporter
from dfud.downloading.incomplete_table import list_incomplete
from dfud.downloading.offsets import Position
from dfud.downloading.owed_receipts import OwedReceipts, PlacedFile, unpack
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import METADATA_SUFFIX, PART_SUFFIX, PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.messages import FilesPlaced
from tests.helpers.downloading import Record, contents, native

NOW = 1_700_000_000_123_456_789  # ns
SENT_MS = 1_700_000_100_000  # the timestamp of the message at offset 0
DATA = random.Random(1).randbytes(3500)  # four chunks


class Taken(NamedTuple):
    """A record, with the methods of `confluent_kafka.Message`."""

    record: Record
    at: int

    def key(self) -> Any:
        return self.record.key

    def value(self) -> Any:
        return self.record.value

    def headers(self) -> Any:
        return self.record.headers

    def partition(self) -> Any:
        return self.record.partition

    def offset(self) -> Any:
        return self.at

    def timestamp(self) -> Any:
        return 1, SENT_MS + self.at

    def error(self) -> None:
        return None


def identity(record: Record) -> bytes:
    """Return the identity of the version that a record has a chunk of."""
    return read_chunk(record.key, record.value, record.headers).identity()


def at(offset: int) -> Position:
    """Return a position of the topic."""
    return Position("id", offset)


F = identity(native(b"f", DATA, NOW)[0])  # of the version that most tests receive


class Bench:
    """The assembler and the checkpoints of fetcher `number` out of `n_fetchers`, with receipts or without."""

    def __init__(self, top: Path, number: int = 0, n_fetchers: int = 1, with_receipts: bool = False) -> None:
        self.top = top
        self.parts = top / "LOGS" / "download_from_T"
        self.parts.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.n_fetchers = n_fetchers
        self.log: list[Record] = []  # the topic: everything that was ever taken
        self.committed = 0
        self.reported: list[str] = []  # warnings and errors
        self.disk_reports: list[str] = []
        self.counts = DownloadCounts()
        self.sync_faults: list[OSError | None] = []  # for the next syncs
        self.with_receipts = with_receipts
        self.placed: list[FilesPlaced] = []  # whose receipts are not sent yet
        self.sent: list[PlacedFile] = []  # whose receipts are
        self.open()

    def open(self) -> None:
        self.tree = ConfinedTree(str(self.top))
        dir_fd = os.open(self.parts, os.O_RDONLY | os.O_DIRECTORY)
        self.folder = PartsFolder(dir_fd, keeps_placed=self.with_receipts)
        self.receipts: OwedReceipts | None = None
        self.placed.clear()
        if self.with_receipts:
            self.receipts = OwedReceipts(
                self.placed.append,
                self.commit,
                self.forget,
                self.report,
                False,
                100,
            )
        disk = Disk(self.fail)
        is_shared = self.n_fetchers > 1
        self.assembler = Assembler(
            self.tree,
            self.folder,
            self.number,
            disk,
            is_shared,
            self.accepts,
            self.report,
            receipts=self.receipts,
        )
        self.store = self.assembler.store
        disk_reporter = DiskReporter("DIR", lambda level, text, *_, **__: self.disk_reports.append(text))
        self.checkpoints = Checkpoints(
            self.store, self.folder, self.sync, self.commit, disk_reporter, self.receipts
        )

    def close(self) -> None:
        self.assembler.close()
        self.tree.close()
        os.close(self.folder.dir_fd)

    def restart(self) -> None:
        """Continue with what is on disk, as after a kill."""
        self.close()
        self.open()
        self.folder.remove_leftovers()  # as the supervisor does
        self.assembler.place_earlier()

    # -- what is outside

    def fail(self, error: OSError) -> None:
        raise AssertionError(error)

    def report(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        if level >= logging.WARNING:
            self.reported.append(text)

    def accepts(self, path: bytes) -> bool:
        return not path.startswith(b"unwanted")

    def sync(self) -> None:
        fault = self.sync_faults.pop(0) if self.sync_faults else None
        if fault is not None:
            raise fault

    def forget(self, names: list[PartName]) -> None:
        self.store.forget_owed(names)

    def commit(self, positions: dict[int, Position]) -> None:
        self.committed = positions[0].offset

    # -- what is done

    def take(self, *records: Record) -> DownloadCounts:
        """Take new records of the topic as one batch, after which comes a quiet moment; return the counts."""
        first = len(self.log)
        self.log += records
        return self._take(first)

    def take_busily(self, *records: Record) -> DownloadCounts:
        """Take new records of the topic as one batch, which others follow at once; return the counts."""
        first = len(self.log)
        self.log += records
        return self._take(first, is_quiet=False)

    def take_again(self) -> DownloadCounts:
        """Take what was not committed."""
        return self._take(self.committed)

    def take_all_again(self) -> DownloadCounts:
        """Take everything that was ever taken."""
        return self._take(0)

    def _take(self, first: int, is_quiet: bool = True) -> DownloadCounts:
        self.tree.close_folders()
        self.assembler.take([Taken(record, at) for at, record in enumerate(self.log[first:], first)])
        if is_quiet:
            self.assembler.on_quiet(is_end=False)
        self.counts = DownloadCounts(*self.assembler.counts.take())
        return self.counts

    def save(self) -> bool:
        """Put everything on disk and commit; return whether that succeeded."""
        return self.checkpoints.finish({0: at(len(self.log))})

    def send_receipts(self) -> list[bytes]:
        """Have all receipts sent that are owed; return the paths of their files."""
        placed, self.placed[:] = list(self.placed), []
        files = []
        for message in placed:
            files += unpack(message.files)
            assert self.receipts is not None
            self.receipts.on_sent(message.number)
        self.sent += files
        return [file.path for file in files]

    def end(self) -> list[str]:
        """End the run; return what is named as incomplete."""
        assert self.save()
        return self.end_table()

    def end_table(self) -> list[str]:
        """Return what is named as incomplete at the end of a run."""
        rows = list_incomplete(self.folder, self.tree, is_over=True)
        return [f"{printable(row.path)} {row.description}" for row in rows]

    # -- what is there

    def files(self) -> dict[bytes, bytes]:
        return contents(self.top)

    def left(self, end: str = "") -> list[str]:
        """Return the names in the folder of parts that end with `end`."""
        return sorted(name for name in os.listdir(self.parts) if name != ".lock" and name.endswith(end))

    def part(self) -> Path:
        """Return the file of the only part."""
        (name,) = self.left(PART_SUFFIX)
        return self.parts / name

    def metadata(self) -> Path:
        """Return the file of the only part's metadata."""
        (name,) = self.left(METADATA_SUFFIX)
        return self.parts / name


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path / "target")) as made:
        yield made


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    """Two fetchers of one directory."""
    with contextlib.closing(Bench(tmp_path, 0, 2)) as first, contextlib.closing(Bench(tmp_path, 1, 2)) as second:
        yield first, second
