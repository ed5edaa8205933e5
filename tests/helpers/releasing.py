"""A directory whose files are recorded as uploaded, and releases from it without a broker."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path

import xxhash

from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.core.released import ReleasedRow, read_released
from dfud.core.tables import CompletedRow, format_table
from dfud.files.confined import ConfinedTree
from dfud.files.scan import WatchedTree
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.table_files import read_lines
from dfud.receipts.required import Required
from dfud.releasing.destination import Destination
from dfud.releasing.finding import Finder, ReleaseFilter, Wanted
from dfud.releasing.holders import Holders
from dfud.releasing.recorded_rows import read_uploads
from dfud.releasing.recovery import Recovery
from dfud.releasing.released_table import ReleasedTable
from dfud.releasing.releaser import Releaser
from dfud.releasing.removal import Deletion, Disposal
from dfud.releasing.report import PrintedReport
from dfud.releasing.room import Room
from dfud.watch.file_systems import Traits
from dfud.watch.leases import WriteLeases

TOPIC, RECEIVER = "T", "archive"
LOCAL = Traits(is_local=True, keeps_ctime=True)
ONE_RECEIVER = Required(frozenset([RECEIVER]))
OLD_NS = 1_700_000_000_000_000_000


class FakeMessage:
    """A message as the consumer gives it."""

    def __init__(self, key: bytes | None, value: bytes | None, partition: int = 0, time_ms: int = 0) -> None:
        self._fields = key, value, partition, time_ms

    def key(self) -> bytes | None:
        return self._fields[0]

    def value(self) -> bytes | None:
        return self._fields[1]

    def partition(self) -> int:
        return self._fields[2]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._fields[3]


def receipt_of(path: Path, directory: Path, receiver: str = RECEIVER, data: bytes | None = None) -> Receipt:
    """Return the receipt of a file as it is now; `data` is what it held, if not what it holds now."""
    status = path.stat()
    digest = xxhash.xxh3_128_hexdigest(path.read_bytes() if data is None else data)
    name = os.fsencode(path.relative_to(directory))
    return Receipt(
        TOPIC, "", receiver, name, status.st_size, status.st_mtime_ns, digest, time_text(time.time_ns())
    )


class UploadedDirectory:
    """Files that are recorded as uploaded, and of which a receiver has sent receipts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = LogsFolder(str(path), TOPIC)
        self.logs.make()
        self.receipts: list[Receipt] = []
        self.said: list[str] = []
        self.room: Room | None = None
        self.waits = True  # until no file is too new
        self._rows: list[CompletedRow] = []

    def add(self, name: str | bytes, data: bytes = b"data", is_received: bool = True) -> Path:
        """Write a file that is uploaded and received."""
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(OLD_NS, OLD_NS))
        self.record(path)
        if is_received:
            self.receive(path)
        return path

    def receive(self, path: Path) -> None:
        """Have a receipt of a file as it is now."""
        self.receipts.append(receipt_of(path, self.path))

    def record(self, path: Path) -> None:
        """Record that a file was uploaded as it is now, and detected a minute later."""
        status = path.stat()
        detected = datetime.fromtimestamp(time.time() + 60, timezone.utc).isoformat()
        name = os.fsdecode(os.fsencode(path.relative_to(self.path)))
        digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
        size = status.st_size
        row = CompletedRow(name, size, status.st_mtime_ns, 1, max(1, size), digest, detected, detected)
        self._rows.append(row)
        self.logs.replace(
            self.logs.completed, [format_table(CompletedRow, self._rows).encode("utf-8", "surrogateescape")]
        )

    def release(
        self,
        moved_to: Path | None = None,
        required: Required = ONE_RECEIVER,
        traits: Callable[[bytes, int], Traits] = lambda *_: LOCAL,
        rehash: bool = False,
    ) -> PrintedReport:
        """Release what may go, as `dfud release` does; return its report."""
        if self.waits:
            wait_for_tick()
        report = PrintedReport(self.output(), as_json=False, print0=False, listed="gone")
        with ExitStack() as opened:
            lock = opened.enter_context(
                closing(DirectoryLock.take(self.logs, self.logs.release_lock, "releasing"))
            )
            tree = opened.enter_context(closing(ConfinedTree(str(self.path))))
            table = opened.enter_context(closing(ReleasedTable(self.logs, lock)))
            disposal: Disposal = Deletion()
            if moved_to is not None:
                disposal = opened.enter_context(closing(Destination(str(moved_to))))
            recovery = Recovery(tree, WriteLeases(), traits, self.said.append)
            table.record(list(recovery.resolve(table.open_rows())), [])
            finder = Finder(str(self.path), read_uploads(self.logs)[0], Wanted(None, None, rehash), traits)
            watched = opened.enter_context(
                closing(WatchedTree(os.fsencode(self.path), ReleaseFilter(None, b"LOGS")))
            )
            candidates = finder.find(watched)
            holders = Holders(candidates, required, TOPIC, "")
            holders.add(FakeMessage(each.key.encode(), each.encode()) for each in self.receipts)
            releaser = Releaser(tree, candidates, holders, report, self.room, traits)
            target = "" if moved_to is None else str(moved_to)
            releaser.remove_all(candidates.oldest_first(), table, disposal, target)
        return report

    def output(self) -> io.StringIO:
        """Return a new output, whose text is `printed`."""
        self._output = io.StringIO()
        return self._output

    @property
    def printed(self) -> str:
        """What the last release has printed."""
        return self._output.getvalue()

    def released_rows(self) -> list[ReleasedRow]:
        """Return the rows of the table of released files."""
        return list(read_released(read_lines(self.logs, self.logs.released)))

    def states(self) -> list[tuple[str, str]]:
        """Return path and state of each of these rows."""
        return [(row.rel_filepath, row.state) for row in self.released_rows()]

    def names(self) -> list[str]:
        """Return the paths of the files that are there, without LOGS."""
        found: Iterable[Path] = (path for path in self.path.rglob("*") if path.is_file() or path.is_symlink())
        return sorted(str(path.relative_to(self.path)) for path in found if "LOGS" not in path.parts)


def wait_for_tick() -> None:
    """Wait until whatever changes has another ctime than what has changed before: no file may be too new."""
    time.sleep(0.03)
