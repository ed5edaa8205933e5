"""Putting complete parts in place."""

from __future__ import annotations

import contextlib
import errno
import logging
import os

from dfud.core.chunk import Chunk
from dfud.core.sent import Sent
from dfud.core.text import printable
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk
from dfud.downloading.doubts import Doubts
from dfud.downloading.obstacles import Obstacles
from dfud.downloading.owed_receipts import NO_DIGESTS, Digests, OwedReceipts
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts_folder import PART_SUFFIX, PartsFolder
from dfud.downloading.place_lock import PlaceLock
from dfud.downloading.placed import placed_sent, read_sent, write_sent
from dfud.downloading.refusals import LimitedReport
from dfud.downloading.supervisor_link import Report
from dfud.files.confined import ConfinedTree

_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST)


class Placement:
    """Responsible for checking the digests of complete parts and for moving them to the paths of their files.

    A version that was sent before what is in place is dropped. What cannot be moved stays a part for the next run.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        store: PartStore,
        disk: Disk,
        is_shared: bool,
        counts: DownloadCounts,
        report: Report,
        receipts: OwedReceipts | None = None,
    ) -> None:
        """`is_shared` says that other fetchers put files in place, too; `receipts` gets what was put there."""
        self._tree = tree
        self._folder = folder
        self._store = store
        self._disk = disk
        self._counts = counts
        self._report = report
        self._receipts = receipts
        self._report_failure = LimitedReport(report, "complete files that are not in their place")
        self._obstacles = Obstacles(tree, folder.dir_fd, report)
        self._unmarked = ""  # why a file could not be marked
        self._has_attributes = True
        self.doubts = Doubts(store, counts, self._report_failure, self._check)
        self._lock = PlaceLock(tree, folder.dir_fd, is_shared)

    def close(self) -> None:
        """Close the lock file."""
        self._lock.close()

    # -- what is in place

    def is_there(self, chunk: Chunk, sent: Sent) -> bool | None:
        """Return whether a file's only chunk is in place; None if what is there was sent later, or edited since.

        If it is there, it is noted to be sent now: no version that was sent earlier will replace it.
        """
        if self._tree.stat_file(chunk.path) is None:
            return False
        with self._lock.held():
            try:
                descriptor = self._tree.open(chunk.path)
            except OSError:
                return False
            try:
                placed = read_sent(descriptor)
                if placed is not None and placed.is_after(sent):
                    return None
                status = os.fstat(descriptor)
                if placed == sent and _is_edited(status, chunk.mtime_ns):
                    return None
                if (status.st_mtime_ns, status.st_size) != (chunk.mtime_ns, len(chunk.data)):
                    return False
                if os.pread(descriptor, len(chunk.data) + 1, 0) != chunk.data:
                    return False
                if placed != sent and self._has_attributes:
                    write_sent(descriptor, sent)
                return True
            except OSError:
                return False
            finally:
                os.close(descriptor)

    # -- complete parts

    def finish(self, part: Part, is_earlier: bool = False) -> None:
        """Put a complete part in place if its digest matches; otherwise keep it as it is.

        `is_earlier` says that an earlier run has left it: it is checked whatever that costs, once in a run.
        """
        if not self._store.files.finish_writing(part):
            return
        if part.failure and not (is_earlier or self.doubts.admit(part)):
            self.doubts.add(part)
            return
        self._check(part)

    def _check(self, part: Part) -> None:
        files = self._store.files
        part.is_overwritten = False
        if part.assembly.verify(lambda length, offset: files.read(part, length, offset)):
            self.doubts.on_right(part)
            self.place(part)
        else:
            self.doubts.on_wrong(part)

    def place(self, *parts: Part) -> None:
        """Put parts of different paths in place whose digests match, unless what is there was sent later."""
        ready = {part: digests for part in parts if (digests := self._prepare(part)) is not None}
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held())
            except OSError as error:
                for part in ready:
                    self._keep(part, error.strerror or str(error))
                return
            for part, digests in ready.items():
                self._put(part, digests)

    def _prepare(self, part: Part) -> Digests | None:
        """Finish the file of a part; return what a receipt says of it, or None if it cannot be put in place."""
        if not self._store.files.finish_writing(part):
            return None
        digests = self._digests(part)
        if digests is None:
            self._keep(part, "it cannot be read back")
            return None
        try:
            if part.mtime_ns is not None:
                self._store.files.set_mtime(part, part.mtime_ns)
            self._mark(part)
        except (OSError, OverflowError) as error:
            self._keep(part, getattr(error, "strerror", None) or str(error))
            return None
        return digests

    def _put(self, part: Part, digests: Digests) -> None:
        """Put a part in place; we have the lock."""
        try:
            is_latest = self._move(part)
        except OSError as error:
            self._keep(part, error.strerror or str(error))
            return
        if is_latest:
            self._counts.files += 1
            self._report(logging.DEBUG, f"{printable(part.path)} is complete", part.path)
            if self._receipts is not None:
                topic_id = part.sent.topic_id if part.sent else ""
                name = part.name if self._store.keep_metadata(part) else None
                self._receipts.add(part.path, part.assembly.size, part.mtime_ns, digests, topic_id, name)
            self._store.drop(part)
            self._counts.superseded += self._store.drop_superseded(part)
        else:
            self._counts.superseded += 1
            self._store.remove(part)

    def _digests(self, part: Part) -> Digests | None:
        """Return what a receipt says of the bytes of a part; None if they cannot be read."""
        files, assembly = self._store.files, part.assembly
        if self._receipts is None:
            return NO_DIGESTS
        return self._receipts.digests(
            part.algorithm,
            assembly.digest,
            lambda length, offset: files.read(part, length, offset),
            assembly.size or 0,
        )

    def _move(self, part: Part) -> bool:
        """Move a part to the path of its file; return False if what is there was sent later, or edited since."""
        status = self._tree.stat_file(part.path)
        if status is not None:
            placed = placed_sent(self._tree, part.path)
            if placed is not None and (part.sent is None or placed.is_after(part.sent)):
                return False
            if placed is not None and placed == part.sent and _is_edited(status, part.mtime_ns):
                return False
            self._warn_unmarked()
        name = f"{part.name}{PART_SUFFIX}"
        try:
            self._disk.retry(lambda: self._tree.place(name, self._folder.dir_fd, part.path))
        except OSError as error:
            if error.errno not in _IN_THE_WAY or part.sent is None:
                raise
            if not self._obstacles.clear(part.path, part.sent):
                return False
            self._lock.count_cleared()
            self._disk.retry(lambda: self._tree.place(name, self._folder.dir_fd, part.path))
        return True

    def _mark(self, part: Part) -> None:
        """Note in the file of a part when it was sent."""
        sent = part.sent
        if sent is None:
            return
        try:
            self._disk.retry(lambda: write_sent(self._store.files.open(part), sent))
        except OSError as error:
            self._unmarked = error.strerror or str(error)

    def _warn_unmarked(self) -> None:
        """Warn, when a file is replaced for the first time, that the order of versions is not known."""
        if self._unmarked and self._has_attributes:
            self._has_attributes = False
            self._report(
                logging.WARNING,
                f"files cannot have the attribute that says when they were sent ({self._unmarked}): of "
                "several versions of a file, the one received last counts, even if it is read again",
            )

    def _keep(self, part: Part, reason: str) -> None:
        part.failure = f"cannot be put in place: {reason}"
        self._counts.unplaced += 1
        self._report_failure(
            logging.ERROR, f"{printable(part.path)} {part.failure}; kept in LOGS", part.path, reason
        )
        self._store.adopt(part)
        self._store.on_changed(part)
        self._store.files.close(part)


def _is_edited(status: os.stat_result, mtime_ns: int | None) -> bool:
    """Return whether a file has been changed since its version was put in place.

    Its size does not tell: a power cut may have cut it off, and it is put in place again.
    """
    return mtime_ns is not None and status.st_mtime_ns != mtime_ns
