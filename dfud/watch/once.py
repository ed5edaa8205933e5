"""A single scan, for ``--once``."""

from __future__ import annotations

from collections.abc import Iterator

from dfud.files.scan import Folder, SettledFiles, WatchedTree
from dfud.messages import FileFound
from dfud.watch.before import FilesLeftBefore
from dfud.watch.inspector import Inspector


class OnceSource:
    """Every file that is there and that no process writes to."""

    def __init__(
        self,
        tree: WatchedTree,
        inspector: Inspector,
        before: FilesLeftBefore,
        compare_since_ns: int = 0,
        settled: SettledFiles | None = None,
    ) -> None:
        """Scan `tree`, as far as `ready_files` is iterated; pass over what is `settled`.

        Files that changed since `compare_since_ns` may have new content at the same size and mtime.
        """
        self._tree = tree
        self._inspector = inspector
        self._before = before
        self._compare_since_ns = compare_since_ns
        self._scan = tree.walk(Folder(b"", take_all=True), settled=settled)
        self._is_done = False
        inspector.start_end(takes_closed=False)

    def fileno(self) -> int:
        """Return -1: there are no events."""
        return -1

    def timeout(self, now: float) -> float | None:
        """Return None: nothing is due later."""
        return None

    @property
    def has_pending(self) -> bool:
        """Whether the scan can go on."""
        return not self._is_done and not self._inspector.is_full

    @property
    def is_sweep_done(self) -> bool:
        """Whether the scan is done."""
        return self._is_done

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        return self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: the kernel holds nothing for this source."""

    def start_sweep(self) -> list[bytes]:
        """Return nothing: the one scan is the sweep."""
        return []

    def process_events(self) -> None:
        """Do nothing: there are no events."""

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield the files that are ready; None in between."""
        if not self.has_pending:
            return
        for step in self._scan:
            if step is None:
                yield None
                continue
            file, _ = step
            found = self._inspector.on_scanned(file, compare=file.ctime_ns >= self._compare_since_ns)
            yield found
            if found is None and self._inspector.is_full:  # it is one that waits
                return
        self._is_done = True
        self._before.finish(self._tree)
