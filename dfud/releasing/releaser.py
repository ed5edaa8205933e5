"""Removing all files that may go: in batches, each of which is recorded before it begins."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dfud.core.released import KEPT, RELEASED, RELEASING, ReleasedRow, receivers_text
from dfud.errors import DfudError
from dfud.files.confined import ConfinedTree
from dfud.logs.times import IsoClock
from dfud.releasing.candidates import Candidate, Candidates
from dfud.releasing.decision import Evidence
from dfud.releasing.holders import Holders
from dfud.releasing.released_table import ReleasedTable
from dfud.releasing.removal import Disposal, FileAside, StuckError
from dfud.releasing.report import Report
from dfud.releasing.room import Room
from dfud.releasing.source_file import FailedError, SourceFile, StaysError, open_source
from dfud.watch.file_systems import Traits
from dfud.watch.leases import WriteLeases

# Each file takes two descriptors while it is removed; what was read must not wait for long.
_MAX_BATCH_FILES, _MAX_BATCH_BYTES = 150, 1 << 28
_MAX_BATCH_CHARS = 1 << 20  # of rows
# Between the renaming and the last look: a program that has looked a file up before the one has come to open it.
_PAUSE_S = 0.005


class Proved(NamedTuple):
    """A file that may go."""

    candidate: Candidate
    receivers: tuple[str, ...]  # that have it
    on_disk: int  # bytes that it takes there


class Releaser:
    """Responsible for looking at each candidate, for its records, and for its removal."""

    def __init__(
        self,
        tree: ConfinedTree,
        candidates: Candidates,
        holders: Holders,
        report: Report,
        room: Room | None,
        traits: Callable[[bytes, int], Traits],
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look at the files in `tree`, until there is `room`, or it `is_stopping`."""
        self._tree = tree
        self._candidates = candidates
        self._holders = holders
        self._report = report
        self._room = room
        self._traits = traits
        self._is_stopping = is_stopping
        self._leases = WriteLeases()
        self._clock = IsoClock()
        self._max_files = _MAX_BATCH_FILES
        self._stuck: list[ReleasedRow] = []  # could not get their names back: each batch says so again

    def list_all(self, numbers: Iterable[int]) -> None:
        """Report which of these candidates would go."""
        for file in self._proved(numbers):
            self._report.add_gone(file.candidate, file.receivers)
            if self._room is not None:
                self._room.add(file.on_disk)
                if self._room.lacking <= 0:
                    return

    def remove_all(
        self, numbers: Iterable[int], table: ReleasedTable, disposal: Disposal, moved_to: str = ""
    ) -> None:
        """Remove those of these candidates that may go; DfudError if that cannot be recorded."""
        proved = self._proved(numbers)
        done: list[ReleasedRow] = []
        waiting: list[Proved] = []
        while True:
            waiting += self._batch(proved, self._max_files - len(waiting))
            if not waiting:
                break
            batch = self._record(table, done, waiting, moved_to)
            done = self._remove(batch, disposal)
            waiting = waiting[len(batch) :]
        if done:
            self._write(table, done, [])

    def _batch(self, proved: Iterator[Proved], max_files: int) -> list[Proved]:
        """Return the next files that may go, as many as are to go."""
        batch: list[Proved] = []
        n_bytes = n_freed = 0
        while len(batch) < max_files and n_bytes < _MAX_BATCH_BYTES:
            if self._room is not None and self._room.lacking <= n_freed:
                break
            file = next(proved, None)
            if file is None:
                break
            batch.append(file)
            n_bytes += file.candidate.file.version.size
            n_freed += file.on_disk
        return batch

    def _proved(self, numbers: Iterable[int]) -> Iterator[Proved]:
        """Yield the candidates that may go, as they are now."""
        for at, number in enumerate(numbers):
            if self._is_stopping():
                return
            if at % _MAX_BATCH_FILES == 0:
                self._tree.close_folders()  # they may have been renamed
            if not self._holders.has_all(number):
                continue
            candidate = self._candidates[number]
            try:
                source = self._open(candidate)
            except StaysError as error:
                self._report.add_kept(candidate, str(error), isinstance(error, FailedError))
                continue
            try:
                if candidate.evidence is Evidence.READING:
                    source.check_content(candidate.digest)
                on_disk = source.status.st_blocks * 512
            except StaysError as error:
                self._report.add_kept(candidate, str(error), False)
                continue
            except OSError as error:
                self._report.add_kept(candidate, f"cannot read it: {error.strerror}", True)
                continue
            finally:
                source.close()
            yield Proved(candidate, tuple(self._holders.of(number)), on_disk)

    def _open(self, candidate: Candidate) -> SourceFile:
        try:
            return open_source(self._tree, candidate.file, self._leases, self._traits)
        except FileNotFoundError:
            raise StaysError("it is no longer there") from None
        except OSError as error:
            raise FailedError(f"cannot open it: {error.strerror}") from None

    def _record(
        self, table: ReleasedTable, done: list[ReleasedRow], files: list[Proved], moved_to: str
    ) -> list[tuple[Proved, ReleasedRow]]:
        """Record what was done, and as many of the files that will be removed as is possible; return those."""
        rows: list[ReleasedRow] = []
        n_chars = 0
        for file in files:
            row = self._row(file, moved_to)
            n_chars += sum(len(text) for text in row if isinstance(text, str))
            if rows and n_chars > _MAX_BATCH_CHARS:
                break
            rows.append(row)
        try:
            table.record(done, [*self._stuck, *rows])
            self._max_files = min(2 * self._max_files, _MAX_BATCH_FILES)
        except OSError as error:
            if error.errno != errno.ENOSPC or len(rows) == 1:
                raise _unrecorded(error) from None
            self._max_files = 1  # there may be room for one row, and more once its file is gone
            rows = rows[:1]
            self._write(table, done, rows)
        return list(zip(files, rows))

    def _write(self, table: ReleasedTable, done: list[ReleasedRow], rows: list[ReleasedRow]) -> None:
        try:
            table.record(done, [*self._stuck, *rows])
        except OSError as error:
            raise _unrecorded(error) from None

    def _row(self, file: Proved, moved_to: str) -> ReleasedRow:
        version = file.candidate.file.version
        return ReleasedRow(
            version.path.decode("utf-8", "surrogateescape"),
            version.size,
            version.mtime_ns,
            file.candidate.digest.hex(),
            file.candidate.file.inode,
            receivers_text(file.receivers),
            moved_to,
            RELEASING,
            self._clock(),
        )

    def _remove(self, batch: Iterable[tuple[Proved, ReleasedRow]], disposal: Disposal) -> list[ReleasedRow]:
        """Remove files that are recorded, unless they have changed; return what became of them."""
        done: list[ReleasedRow] = []
        aside: list[tuple[Proved, ReleasedRow, SourceFile, FileAside]] = []
        try:
            for file, row in batch:
                candidate = file.candidate
                try:
                    source = self._open(candidate)
                    try:
                        entry = FileAside(source, candidate.file.version, candidate.digest)
                    except BaseException:
                        source.close()
                        raise
                except StaysError as error:
                    self._keep(file, error)
                    done.append(row._replace(state=KEPT, time=self._clock()))
                else:
                    aside.append((file, row, source, entry))
            time.sleep(_PAUSE_S)
            for file, row, _, entry in aside:
                state = self._finish(file, entry, disposal)
                if state == RELEASING:
                    self._stuck.append(row)
                else:
                    done.append(row._replace(state=state, time=self._clock()))
        finally:
            for _, _, source, _ in aside:
                source.close()
        return done

    def _finish(self, file: Proved, entry: FileAside, disposal: Disposal) -> str:
        try:
            entry.finish(disposal)
        except StaysError as error:
            self._keep(file, error)
            return RELEASING if isinstance(error, StuckError) else KEPT
        if self._room is not None:
            self._room.add(file.on_disk)
        self._report.add_gone(file.candidate, file.receivers)
        return RELEASED

    def _keep(self, file: Proved, error: StaysError) -> None:
        self._report.add_kept(file.candidate, str(error), isinstance(error, FailedError))


def _unrecorded(error: OSError) -> DfudError:
    return DfudError(f"cannot write {error.filename}: {error.strerror}; nothing more was released")
