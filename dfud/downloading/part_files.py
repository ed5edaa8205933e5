"""The files of parts: what is open, and the chunks that wait to be written."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable

from dfud.core.text import printable
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.supervisor_link import Report
from dfud.files.confined import ConfinedTree

_MAX_OPEN_FILES = 128
_MAX_RUN_CHUNKS = 512  # written at once; pwritev(2) takes at most 1,024


class PartFiles:
    """Responsible for reading and writing parts, whose files it opens and closes as needed.

    Consecutive chunks of a part are collected in a run and written together. Every method writes the run first if
    the part's file has to be up to date, so that methods may be called in any order.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        disk: Disk,
        on_written: Callable[[Part], None],
        on_unwritable: Callable[[Part, OSError], None],
        report: Report,
    ) -> None:
        """Call `on_written` after a run was written, `on_unwritable` for a part that cannot be written."""
        self._tree = tree
        self._folder = folder
        self._disk = disk
        self._on_written = on_written
        self._on_unwritable = on_unwritable
        self._report = report
        self._open: dict[Part, int] = {}  # descriptors; the part that has been open for longest comes first
        self._run: list[bytes] = []  # chunks that are not written yet
        self._run_part: Part | None = None  # that they belong to
        self._being_written: Part | None = None
        self._run_start = self._run_end = 0  # byte offsets

    def close_all(self) -> None:
        """Close all files; what was not written is lost."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    # -- chunks

    def write(self, part: Part, offset: int, data: bytes) -> None:
        """Write a chunk, at the latest with the next `flush`; chunks of an unwritable part are discarded."""
        if part is not self._run_part or offset != self._run_end or len(self._run) >= _MAX_RUN_CHUNKS:
            self._start_run(part, offset)
            if part.is_unwritable:
                return
        self._run.append(data)
        self._run_end += len(data)

    def _start_run(self, part: Part, offset: int) -> None:
        self.flush()
        if not part.is_unwritable:
            try:
                self.open(part)
            except OSError as error:
                self._give_up(part, error)
                return
            self._run_part = part
            self._run_start = self._run_end = offset

    def flush(self) -> None:
        """Write the run."""
        part, self._run_part = self._run_part, None
        if part is None:
            return
        run, self._run = self._run, []
        self._being_written = part
        try:
            self._disk.write(self._open[part], run, self._run_start)
        except OSError as error:
            self._give_up(part, error)
        else:
            self._on_written(part)
        finally:
            self._being_written = None

    def _give_up(self, part: Part, error: OSError) -> None:
        part.is_unwritable = True
        self._on_unwritable(part, error)

    def write_file(self, part: Part, data: bytes) -> None:
        """Write all bytes of a part at once."""
        try:
            self._disk.write(self.open(part), [data], 0)
        except OSError as error:
            self._give_up(part, error)

    def finish_writing(self, part: Part) -> bool:
        """Write what is left of the run if it is of `part`; return whether all of the part could be written."""
        if part is self._run_part:
            self.flush()
        return not part.is_unwritable

    def read(self, part: Part, length: int, offset: int) -> bytes:
        """Return bytes of a part, fewer at its end; none if it is unwritable, or in place and gone from there."""
        if not self.finish_writing(part):
            return b""
        try:
            return os.pread(self.open(part), length, offset)
        except OSError:
            return b""

    def set_mtime(self, part: Part, mtime_ns: int) -> None:
        """Set the mtime of a part's file; OSError or OverflowError if it cannot be set."""
        os.utime(self.open(part), ns=(mtime_ns, mtime_ns))

    # -- files

    def is_in_use(self, part: Part) -> bool:
        """Return whether chunks of a part wait to be written, or are just being written."""
        return part is self._run_part or part is self._being_written

    def create(self, part: Part) -> None:
        """Create the file of a new part."""
        self._add(part, self._disk.retry(lambda: self._folder.create(part.name)))

    def open(self, part: Part) -> int:
        """Return the descriptor of a part's file, valid until the next call.

        A part whose file was removed starts over. Raises OSError if the part is in place and gone from there, or
        if its new file cannot be created.
        """
        descriptor = self._open.get(part)
        if descriptor is None:
            descriptor = self._open_placed(part) if part.is_in_place else self._reopen(part)
            self._add(part, descriptor)
        return descriptor

    def _open_placed(self, part: Part) -> int:
        descriptor = self._tree.open(part.path)
        if os.fstat(descriptor).st_mtime_ns != part.mtime_ns:  # it has become another version
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return descriptor

    def _reopen(self, part: Part) -> int:
        try:
            return self._disk.retry(lambda: self._folder.open(part.name))
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"the part of {printable(part.path)} was removed ({reason}): starting it over"
            self._report(logging.WARNING, text, part.path, reason)
            part.start_over()
            return self._disk.retry(lambda: self._folder.create(part.name))

    def _add(self, part: Part, descriptor: int) -> None:
        self._open[part] = descriptor
        if len(self._open) > _MAX_OPEN_FILES:
            self.close(next(iter(self._open)))

    def close(self, part: Part) -> None:
        """Close the file of a part if it is open."""
        self.finish_writing(part)
        self.discard(part)

    def discard(self, part: Part) -> None:
        """Close the file of a part without writing what is left of its run: the part is not needed any more."""
        if part is self._run_part:
            self._run_part = None
            self._run.clear()
        descriptor = self._open.pop(part, None)
        if descriptor is not None:
            os.close(descriptor)

    # -- copies

    def detach(self, part: Part) -> None:
        """Make a part that is in place a copy of that file, which has turned out to have other bytes."""
        try:
            source = self.open(part)
        except OSError:  # it is gone: the copy is empty
            source = -1
        target = self._disk.retry(lambda: self._folder.create(part.name))
        if source >= 0 and part.assembly.size:
            self._disk.copy(source, target, 0, part.assembly.size)
            part.assembly.spans.add(1, part.assembly.size)
        self.close(part)
        part.is_in_place = False
        part.feed(part.placed)  # most of its bytes were sent then
        self._add(part, target)
        part.assembly.restart_hash()

    def copy_from(self, donor: PartName, part: Part, spans: Iterable[tuple[int, int]]) -> bool:
        """Copy those bytes of another part that `part` lacks, of `spans`; return whether the other part exists."""
        try:
            source = self._folder.open(donor)
        except OSError:
            return False
        try:
            target = self.open(part)
            for first, last in spans:
                for start, end in part.assembly.spans.gaps(first, last):
                    self._disk.copy(source, target, start - 1, end - start + 1)
                part.assembly.spans.add(first, last)
        finally:
            os.close(source)
        part.assembly.restart_hash()
        part.expected.forget()
        return True
