"""The parts of the watcher for a real folder, without its process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dfud.core.names import UploadFilter
from dfud.files.links import LinkPolicy
from dfud.files.scan import WatchedTree
from dfud.messages import FileFound, FilesBefore, FromWatcher
from dfud.watch.before import FilesLeftBefore
from dfud.watch.file_systems import Traits
from dfud.watch.inquiry import Inquiry
from dfud.watch.inspector import Inspector
from dfud.watch.readiness import Readiness
from dfud.watch.source import Source
from dfud.watch.watcher import WatchOptions


def watch_options(directory: Path, once: bool = False, polling: bool = False) -> WatchOptions:
    """Return options that take all files of `directory` that are not hidden."""
    top, logs = os.fsencode(directory), directory / "LOGS"
    identity = (logs.stat().st_dev, logs.stat().st_ino) if logs.exists() else (0, 0)
    return WatchOptions(
        directory=top,
        named=top,
        upload_regex=None,
        take_all=True,
        since_ns=0,
        missed=(0, 0),
        compare_since_ns=0,
        has_recorded=False,
        once=once,
        polling=polling,
        lag_s=0.0,
        follow_links=False,
        logs_path=os.fsencode(logs),
        logs=identity,
    )


class WatchParts:
    """A tree, its inspector and what is left, with a clock that a test advances."""

    def __init__(
        self,
        top: Path,
        since_ns: int = 0,
        moved_in: Iterable[bytes] = (),
        upload_regex: str | None = None,
        is_local: bool = True,
        keeps_ctime: bool = True,
        lag_s: float = 0.0,
        wall_ns: Callable[[], int] = time.time_ns,
        has_recorded: bool = False,
        asks_all: bool = True,
    ) -> None:
        """Files that are older than `since_ns` are wanted only where all are.

        `is_local` and `keeps_ctime` are traits of the file system, `wall_ns` is the time of its ctimes. If the
        directory `has_recorded` files, it depends on the answers to `inquiry` what is ready.
        """
        self.now = 0.0  # s
        traits = Traits(is_local, keeps_ctime)
        self.top = top
        path_filter = UploadFilter(upload_regex)
        self.tree = WatchedTree(os.fsencode(top), path_filter, since_ns, moved_in, links=LinkPolicy())
        self.sent: list[FromWatcher] = []
        self.inquiry = Inquiry(self.sent.extend) if has_recorded else None
        self.inspector = Inspector(
            self.tree, Readiness(lag_s), lambda path, device: traits, self.inquiry, self.clock, wall_ns, asks_all
        )
        self.before = FilesLeftBefore(self.sent.extend, path_filter.unmatched_warning)

    def clock(self) -> float:
        """Return the test's time."""
        return self.now

    def ready(self, source: Source) -> Iterator[FileFound]:
        """Yield the files that are ready now, until nothing is pending."""
        while True:
            source.process_events()
            yield from filter(None, self.inspector.ready_files())
            if not source.has_pending:
                return
            yield from filter(None, source.ready_files())

    def ready_paths(self, source: Source) -> list[str]:
        """Return the paths of the files that are ready now."""
        return [os.fsdecode(file.version.path) for file in self.ready(source)]

    def n_before(self) -> int:
        """Return how many files were reported as there before."""
        return sum(len(message.identities) // 16 for message in self.sent if isinstance(message, FilesBefore))

    def close(self) -> None:
        """Close the directory."""
        self.tree.close()
