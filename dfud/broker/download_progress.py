"""What is said while the jars are downloaded, which takes half a minute and more."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Callable

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.display.activity import Activity, Fact
from dfud.display.amounts import shown_rate
from dfud.display.meter import Meter
from dfud.display.narrator import Narrator

INTERVAL_S = 5.0
_DISPLAY_INTERVAL_S = 0.25
_LOOK_INTERVAL_S = 0.5  # at the folder


class DownloadProgress:
    """Says every few seconds how far a download is, while the block runs; what has arrived is in a folder.

    A terminal shows it all the time instead.
    """

    def __init__(self, folder: Path, announce: Callable[[str], None], interval_s: float = INTERVAL_S) -> None:
        self._folder = folder
        self._announce = announce
        self._interval_s = interval_s
        self._narrator = announce if isinstance(announce, Narrator) else None  # if it shows what goes on
        self._activity = Activity((Fact("looking up what is needed"),))
        self._next_look = 0.0  # s, monotonic
        self._rate = Meter()
        self._n_jars: int | None = None  # to be downloaded, once that is known
        self._started = time.monotonic()
        self._is_over = threading.Event()
        # A thread, as jgo says nothing; it ends before any process is started.
        self._thread = threading.Thread(target=self._run, name="download-progress", daemon=True)

    def __enter__(self) -> DownloadProgress:
        if self._narrator is not None and not self._narrator.show(self.activity):
            self._narrator = None
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if self._narrator is not None:
            self._narrator.clear()
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

    def activity(self, now: float) -> Activity:
        """Return what a terminal shows at `now` (s, monotonic)."""
        if now >= self._next_look:
            with contextlib.suppress(OSError):  # a folder was renamed
                self._activity = self._look(now)
            self._next_look = now + _LOOK_INTERVAL_S
        return self._activity

    def _look(self, now: float) -> Activity:
        if self._n_jars is None:
            return Activity((Fact(self.line().strip()),))
        sizes = self._sizes(".jar")
        rate = self._rate.add(now, sum(sizes))
        share = len(sizes) / self._n_jars if self._n_jars else None
        amount = f"{len(sizes)} of {counted(self._n_jars, 'jar')}"
        return Activity((Fact(f"{shown_size(sum(sizes))} downloaded"), Fact(shown_rate(rate))), share, amount)

    def _sizes(self, suffix: str) -> list[int]:
        """Return the bytes of each file so far whose name ends so."""
        sizes = []
        for path in self._folder.rglob(f"*{suffix}"):
            with contextlib.suppress(OSError):  # it was renamed
                sizes.append(path.stat().st_size)
        return sizes

    def _run(self) -> None:
        while not self._is_over.wait(self._interval_s if self._narrator is None else _DISPLAY_INTERVAL_S):
            if self._narrator is not None:
                self._narrator.turn()
                continue
            with contextlib.suppress(OSError):  # likewise, a folder
                self._announce(self.line())
