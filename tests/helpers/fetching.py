"""What a fetcher has inside, over a real folder, with the test in Kafka's and the supervisor's places."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dfud.downloading.assembler import Assembler
from dfud.downloading.checkpoint import Checkpoints
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts import NOTE, PART, PartsFolder
from dfud.files.confined import ConfinedTree
from tests.helpers.downloading import Record, contents

NOW = 1_700_000_000_123_456_789  # ns


class Taken(NamedTuple):
    """A record as confluent_kafka hands it over."""

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


class Bench:
    """The assembler, the shelf and the checkpoints of one fetcher; `workers` says how many there are."""

    def __init__(self, top: Path, number: int = 0, workers: int = 1) -> None:
        self.top = top
        self.parts = top / "LOGS" / "download_from_T"
        self.parts.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.workers = workers
        self.log: list[Record] = []  # of the topic: what was ever taken
        self.committed = 0
        self.told: list[str] = []  # warnings and errors
        self.troubles: list[str] = []
        self.counts = DownloadCounts()
        self.sync_faults: list[OSError | None] = []  # for the next syncs
        self.open()

    def open(self) -> None:
        self.tree = ConfinedTree(self.top)
        self.folder = PartsFolder(os.open(self.parts, os.O_RDONLY | os.O_DIRECTORY))
        disk = Disk(self.endure)
        self.shelf = PartStore(self.tree, self.folder, self.number, disk, self.tell)
        alone = self.workers == 1
        self.assembler = Assembler(self.tree, self.folder, self.shelf, disk, alone, self.accepts, self.tell)
        self.checkpoints = Checkpoints(
            self.assembler.snapshot, self.shelf, self.folder, self.sync, self.commit, self.troubles.append
        )

    def close(self) -> None:
        self.assembler.close()
        self.tree.close()
        os.close(self.folder.descriptor)

    def restart(self) -> None:
        """Be killed, and begin with what is on disk."""
        self.close()
        self.open()
        self.folder.tidy()  # as the supervisor does
        self.assembler.start()

    # -- what is outside

    def endure(self, error: OSError) -> None:
        raise AssertionError(error)

    def tell(self, level: int, text: str) -> None:
        if level >= logging.WARNING:
            self.told.append(text)

    def accepts(self, path: bytes) -> bool:
        return not path.startswith(b"unwanted")

    def sync(self) -> None:
        fault = self.sync_faults.pop(0) if self.sync_faults else None
        if fault is not None:
            raise fault

    def commit(self, positions: dict[int, int]) -> None:
        self.committed = positions[0]

    # -- what is done

    def take(self, *records: Record) -> DownloadCounts:
        """Take records that are new on the topic, as one batch; return what was counted."""
        first = len(self.log)
        self.log += records
        return self._take(first)

    def take_again(self) -> DownloadCounts:
        """Take what was not committed."""
        return self._take(self.committed)

    def _take(self, first: int) -> DownloadCounts:
        self.tree.close_folders()
        self.assembler.take([Taken(record, at) for at, record in enumerate(self.log[first:], first)])
        self.counts = self.assembler.tally.take()
        return self.counts

    def save(self) -> bool:
        """Put all on disk and commit; tell whether that could be done."""
        return self.checkpoints.finish({0: len(self.log)})

    # -- what is there

    def files(self) -> dict[bytes, bytes]:
        return contents(self.top)

    def left(self, end: str = "") -> list[str]:
        """Return the names in the folder of parts that end so."""
        return sorted(name for name in os.listdir(self.parts) if name != ".lock" and name.endswith(end))

    def part(self) -> Path:
        """Return the only part's file."""
        (name,) = self.left(PART)
        return self.parts / name

    def note(self) -> Path:
        """Return the only part's note."""
        (name,) = self.left(NOTE)
        return self.parts / name


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path / "target")) as made:
        yield made
