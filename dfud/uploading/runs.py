"""Runs that are to be sealed: their markers are held back until everything else of their folders is on the topic.

Nothing of this is in memory alone. A marker that is held back is on record in the session, as a file that the next
run must find; which files of its folder are on the topic follows from the tables. So a run that is killed at any
instant leaves the marker to be found again, and a manifest that may have been sent is sent once more.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator

from dfud.core.names import MAX_PATH_BYTES
from dfud.core.run_markers import RunMarkers
from dfud.core.sizes import shown_size
from dfud.core.text import counted, printable
from dfud.logs.log_lines import about
from dfud.messages import FileFound, FileLeft, FilesFound, FromSealer, Notice, RunSealed, RunUnsealed, ToSealer
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop
from dfud.processes.notices import log_notice
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading import sealer
from dfud.uploading.detection import Detection
from dfud.uploading.folder_counts import FolderCounts
from dfud.uploading.ledger import Ledger
from dfud.uploading.sealer import SealSettings, SealTask
from dfud.watch.together import each_of

SealerProcess = Worker[ToSealer, FromSealer]
_MIN_PAUSE_S, _MAX_PAUSE_S, _COST_FACTOR = 1.0, 60.0, 20  # before a run is tried again; the last: of what it took
_PATIENT_ATTEMPTS = 3  # of a run whose files may only be late: then it is said why it is not sealed


class _Held:
    """A marker that is held back."""

    def __init__(self, found: FileFound, now: float) -> None:
        self.found = found
        self.folder = found.version.path.rpartition(b"/")[0]
        self.due_at = now  # s, monotonic
        self.attempts = 0
        self.named = ""  # why it is not sealed, as it was logged

    @property
    def name(self) -> str:
        return f"run {printable(self.folder) or '.'}"


class Runs:
    """Responsible for the order: all files of a run, then its manifest, then its marker."""

    def __init__(
        self,
        settings: SealSettings,
        ledger: Ledger,
        pool: WorkerPool,
        log: logging.Logger,
        detection: Detection,
        loop: EventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold back the markers that `detection` is told of; start sealers from `pool`."""
        self._settings = settings
        self._markers = RunMarkers(settings.watch.run_markers)
        self._ledger = ledger
        self._detection = detection
        self._loop = loop
        self._pool = pool
        self._log = log
        self._clock = clock
        self._held: dict[bytes, _Held] = {}  # by the path of the marker
        self._folders = FolderCounts()  # that these lie in
        self._markers_in: Counter[bytes] = Counter()  # how many of these lie in a folder itself
        self._sealing: _Held | None = None
        self._result: RunSealed | RunUnsealed | None = None
        self._began = 0.0  # s, monotonic: when the sealer was started
        self._is_ending = False  # all files of this run of the program have been found
        self.is_topic_harmed = False  # some of what is recorded is not on the topic
        self._from_sealer: Dispatcher[FromSealer] = Dispatcher(
            FromSealer,
            {
                Notice: lambda notice: log_notice(log, notice),
                RunSealed: self._on_result,
                RunUnsealed: self._on_result,
            },
        )

    @property
    def is_over(self) -> bool:
        """Whether no run is to be sealed."""
        return not self._held

    @property
    def due(self) -> float | None:
        """When a run can be sealed (s, monotonic), or None if something has to happen before."""
        return None if self._sealing is not None else min((each.due_at for each in self._ready()), default=None)

    # -- markers

    def on_found(self, message: FileFound) -> None:
        """Hold a marker back; any other file is added to the ledger."""
        version = message.version
        detection = self._detection
        is_held = (
            self._markers.matches(version.path)
            and not detection.is_over
            and len(version.path) <= MAX_PATH_BYTES
            and not self._ledger.is_recorded(version)  # it is only to be compared
        )
        if not is_held:
            detection.on_found(message)
            return
        detection.on_held_back(message)
        self.hold(message)

    def on_found_together(self, message: FilesFound) -> None:
        """Take several files as `on_found` takes one."""
        for found in each_of(message):
            self.on_found(found)

    def hold(self, message: FileFound) -> None:
        """Hold back a marker that the session has on record."""
        path = message.version.path
        earlier = self._held.get(path)
        if earlier is not None and earlier.found.version == message.version:
            return
        held = self._held[path] = _Held(message, self._clock())
        if earlier is None:
            self._folders.enter(held.folder)
            self._markers_in[held.folder] += 1
            text = (
                f"{held.name}: its marker {printable(path)} is held back until everything else of it is uploaded"
            )
            self._log.info(text, extra=about(path))

    # -- sealing

    def turn(self, now: float, is_ending: bool) -> None:
        """Seal the next run that is due; `is_ending` if no more files are to be found."""
        if is_ending and not self._is_ending:
            self._is_ending = True
            for held in self._held.values():
                held.due_at, held.attempts = now, 0
        if self._sealing is not None:
            return
        for held in list(self._ready()):
            if held.due_at > now:
                continue
            if self.is_topic_harmed:
                self._keep(held, RunUnsealed("the topic does not keep all that was sent to it"), now)
                continue
            self._start(held, now)
            return

    def _ready(self) -> Iterator[_Held]:
        """Yield the runs of which nothing is on its way, and that have no run in them that is not sealed."""
        for held in self._held.values():
            inside = self._folders.get(held.folder, 0) if held.folder else len(self._held)
            if inside == self._markers_in[held.folder] and not self._ledger.has_open_below(held.folder):
                yield held

    def _forget(self, held: _Held) -> None:
        del self._held[held.found.version.path]
        self._folders.leave(held.folder)
        self._markers_in[held.folder] -= 1
        if not self._markers_in[held.folder]:
            del self._markers_in[held.folder]

    def _start(self, held: _Held, now: float) -> None:
        others = frozenset(
            path for path, other in self._held.items() if other.folder == held.folder and other is not held
        )
        task = SealTask(held.folder, held.found.version, others)
        self._sealing, self._result, self._began = held, None, now
        arguments = (self._settings, task, self._ledger.recorded)
        worker = self._pool.start("sealer", links.SEALER, sealer.run, arguments)
        self._loop.watch(worker, self._from_sealer, self._on_end)

    def _on_result(self, result: RunSealed | RunUnsealed) -> None:
        self._result = result

    def _on_end(self, worker: SealerProcess) -> None:
        self._loop.unwatch(worker)
        cause = worker.cause_of_death()
        self._pool.discard(worker)
        held, self._sealing = self._sealing, None
        assert held is not None
        now = self._clock()
        if self._held.get(held.found.version.path) is not held:
            return  # its marker has changed since, and the new one is held
        result = self._result or RunUnsealed(f"the process that seals it {cause}")
        if isinstance(result, RunUnsealed):
            self._keep(held, result, now)
        elif self._ledger.has_open_below(held.folder):  # of which the manifest does not know
            held.due_at = now
        else:
            size = shown_size(result.n_bytes)
            self._log.info(f"{held.name} is sealed: {counted(result.n_files, 'file')}, {size}")
            self._forget(held)
            self._detection.add(held.found)

    def _keep(self, held: _Held, result: RunUnsealed, now: float) -> None:
        """Try again later, or leave it to the next run if this one ends; say why, once."""
        path = held.found.version.path
        if result.is_marker_gone:
            self._log.info(f"{held.name} is not sealed: {result.reason}", extra=about(path))
            self._forget(held)
            return
        if self._is_ending:
            self._forget(held)
            self._detection.on_left(
                FileLeft(path, f"is held back, as {held.name} is not sealed ({result.reason})")
            )
            return
        held.attempts += 1
        pause_s = min(_MIN_PAUSE_S * 2 ** min(held.attempts - 1, 10), _MAX_PAUSE_S)
        held.due_at = now + max(pause_s, _COST_FACTOR * (now - self._began))
        if held.named == result.reason or (result.is_waiting and held.attempts < _PATIENT_ATTEMPTS):
            return
        if not (result.is_waiting and held.named):
            fields = about(path, cause=result.reason)
            self._log.warning(f"{held.name} is not sealed yet: {result.reason}; retrying", extra=fields)
        held.named = result.reason
