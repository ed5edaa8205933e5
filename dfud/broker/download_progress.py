"""What is said while the jars are downloaded, which takes half a minute and more."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Callable

from dfud.core.text import counted

INTERVAL_S = 5.0


class DownloadProgress:
    """Says every few seconds how far a download is, while the block runs; what has arrived is in a folder."""

    def __init__(self, folder: Path, announce: Callable[[str], None], interval_s: float = INTERVAL_S) -> None:
        self._folder = folder
        self._announce = announce
        self._interval_s = interval_s
        self._n_jars: int | None = None  # to be downloaded, once that is known
        self._started = time.monotonic()
        self._is_over = threading.Event()
        # A thread, as jgo says nothing; it ends before any process is started.
        self._thread = threading.Thread(target=self._run, name="download-progress", daemon=True)

    def __enter__(self) -> DownloadProgress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if kind is None:
            self._announce(f"{self.line()}, in {time.monotonic() - self._started:.0f} s")

    def on_resolved(self, n_jars: int) -> None:
        """Take note that `n_jars` will be downloaded: before, only their descriptions are."""
        self._n_jars = n_jars

    def line(self) -> str:
        """Return how far the download is."""
        if self._n_jars is None:
            return f"  looking up what is needed: {counted(len(self._sizes('.pom')), 'description')} read"
        sizes = self._sizes(".jar")
        return f"  {len(sizes)} of {counted(self._n_jars, 'jar')}, {sum(sizes) / 1e6:.0f} MB"

    def _sizes(self, suffix: str) -> list[int]:
        """Return the bytes of each file so far whose name ends so."""
        sizes = []
        for path in self._folder.rglob(f"*{suffix}"):
            with contextlib.suppress(OSError):  # it was renamed
                sizes.append(path.stat().st_size)
        return sizes

    def _run(self) -> None:
        while not self._is_over.wait(self._interval_s):
            with contextlib.suppress(OSError):  # likewise, a folder
                self._announce(self.line())
