"""The process of a download that puts runs in their places.

It is a process of its own because it reads every byte of a run once more, and the fetchers and the supervisor must
not wait for that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable
from itertools import islice

from dfud.core.manifest import Manifest
from dfud.core.text import counted, printable
from dfud.core.version import path_key
from dfud.downloading.place_lock import open_lock
from dfud.downloading.runs.builder import ImpossibleError, MissingError, RunBuilder
from dfud.downloading.runs.folders import make_run_folders
from dfud.downloading.runs.listed_files import ListedFiles, versions
from dfud.downloading.runs.manifest_store import ManifestStore
from dfud.downloading.runs.pending_runs import PendingManifest, PendingRuns
from dfud.downloading.runs.placement import NEW, RunPlacement
from dfud.downloading.runs.settings import RunSettings
from dfud.downloading.runs.staged_files import StagedFiles
from dfud.files.confined import ConfinedTree
from dfud.messages import FinishRuns, FromRunPlacer, Notice, RunsFinished, RunsWaiting, Stop, ToRunPlacer
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker

_INTERVAL_S, _COST_FACTOR = 0.5, 4  # between looks; as long as this many times what the last one took
_RETRY_INTERVAL_S, _RETRY_COST_FACTOR = 5.0, 20  # likewise, between attempts at a run that fails
_MAX_NAMED = 20  # runs at the end


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromRunPlacer, ToRunPlacer],
    directory: str,
    parts_fd: int,
    topic: str,
    settings: RunSettings,
) -> None:
    """Put runs in their places below `directory` until `Stop`; `parts_fd` is open for the folder of parts."""
    init_worker(name, supervisor_pid)
    worker = RunWorker(to_supervisor, directory, parts_fd, topic, settings)
    with contextlib.closing(worker), contextlib.suppress(PeerGoneError):
        while worker.run_once():
            pass


class RunWorker:
    """Responsible for when runs are looked at, and for what is said of them."""

    def __init__(
        self,
        to_supervisor: Channel[FromRunPlacer, ToRunPlacer],
        directory: str,
        parts_fd: int,
        topic: str,
        settings: RunSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `run`."""
        self._supervisor = to_supervisor
        self._clock = clock
        self._folders = folders = make_run_folders(parts_fd)
        self._files = ListedFiles(ConfinedTree(".", dir_fd=folders.staged), ConfinedTree(directory), topic)
        self._pending = PendingRuns(ManifestStore(folders.manifests), self._report)
        self._builder = RunBuilder(folders.building, self._files, settings)
        self._placement = RunPlacement(parts_fd, folders.building, self._files, settings.layout, self._report)
        self._lock_fd = open_lock(parts_fd)
        self._staged = StagedFiles(self._files, self._lock_fd)
        self._outbox: list[FromRunPlacer] = []
        self._is_stopped = False
        self._has_swept = False
        self._n_waiting = 0  # as reported last
        self._next_look = 0.0
        self._dispatch: Dispatcher[ToRunPlacer] = Dispatcher(
            ToRunPlacer, {FinishRuns: self._on_finish, Stop: self._on_stop}
        )

    def close(self) -> None:
        """Close all files and folders."""
        self._builder.close()
        self._files.staged.close()
        self._files.tree.close()
        self._folders.close()
        os.close(self._lock_fd)

    def run_once(self) -> bool:
        """Wait for something to do and do it; return False once stopped."""
        if self._clock() >= self._next_look:
            self.look()
        self._send()
        if select.select([self._supervisor], [], [], max(0.0, self._next_look - self._clock()))[0]:
            for message in self._supervisor.receive():
                self._dispatch(message)
            self._send()
        return not self._is_stopped

    def _send(self) -> None:
        if self._outbox:
            outbox, self._outbox = self._outbox, []
            self._supervisor.send(outbox)

    def _report(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        self._outbox.append(Notice(level, text, file, cause))

    def _on_stop(self, _: Stop) -> None:
        self._is_stopped = True

    # -- looking

    def look(self, is_final: bool = False) -> None:
        """Put in place what is whole; `is_final` says that nothing more will arrive."""
        began = self._clock()
        try:
            if not self._has_swept:
                self._builder.remove_all(NEW)
            if is_final or not self._has_swept:
                self._has_swept = True
                self._staged.sweep()
            self._pending.update()
        except OSError as error:
            self._report(
                logging.ERROR, f"cannot look for runs that are whole: {error.strerror or error}; retrying"
            )
        for pending in self._pending.complete():
            manifest = self._pending.load(pending)
            if manifest is not None and (is_final or self._clock() >= pending.next_attempt):
                self._files.close_folders()
                self._try(pending, manifest)
                self._send()
        n_waiting = len(self._pending)
        if n_waiting != self._n_waiting:
            self._n_waiting = n_waiting
            self._outbox.append(RunsWaiting(n_waiting))
        now = self._clock()
        self._next_look = now + max(_INTERVAL_S, _COST_FACTOR * (now - began))

    def _try(self, pending: PendingManifest, manifest: Manifest) -> None:
        """Put a run in its place if it is whole, and note why if that fails."""
        began = self._clock()
        try:
            self._place(pending, manifest)
            return
        except MissingError as error:
            pending.n_found = 0
            if not error.reason:
                return
            failure = f"{printable(error.version.path)}: {error.reason}"
        except ImpossibleError as error:
            failure = str(error)
        except OSError as error:
            failure = error.strerror or str(error)
        now = self._clock()
        pending.next_attempt = now + max(_RETRY_INTERVAL_S, _RETRY_COST_FACTOR * (now - began))
        if failure != pending.failure:
            pending.failure = failure
            text = f"run {_shown(pending.run)} cannot be put in its place: {failure}; trying again"
            self._report(logging.WARNING, text, pending.run, failure)

    def _place(self, pending: PendingManifest, manifest: Manifest) -> None:
        if pending.is_new:
            self._placement.restore(manifest)
            pending.is_new = False
        if not self._placement.is_current(manifest, pending.sent):
            if not self._has_all(pending, manifest):
                return
            self._builder.remove(self._placement.unplaced_name(manifest))
            name = self._placement.new_name(pending.run)
            self._builder.build(manifest, name)
            self._placement.place(manifest, pending.sent, name)
            files, n_bytes = counted(manifest.head.n_files + 1, "file"), manifest.head.n_bytes
            text = f"run {_shown(pending.run)} is whole, and in its place: {files}, {n_bytes / 1e6:.1f} MB"
            self._report(logging.INFO, text, pending.run)
        self._placement.clear(manifest)
        self._staged.remove_placed(manifest)
        self._pending.drop(pending)

    def _has_all(self, pending: PendingManifest, manifest: Manifest) -> bool:
        """Return whether all of a run is there; what was found earlier is not looked for again."""
        for version in islice(versions(manifest), pending.n_found, None):
            if not self._files.has(version):
                return False
            pending.n_found += 1
        return True

    # -- the end

    def _on_finish(self, _: FinishRuns) -> None:
        self.look(is_final=True)
        lines = [self._describe(pending) for pending in self._pending.complete()]
        lines += [
            f"run {_shown(pending.run)} is not whole: {len(pending.parts)} of {pending.n_parts} messages of its "
            "manifest were read"
            for pending in self._pending.incomplete()
        ]
        for line in lines[:_MAX_NAMED]:
            self._report(logging.ERROR, line)
        if len(lines) > _MAX_NAMED:
            more = counted(len(lines) - _MAX_NAMED, "more run is", "more runs are")
            self._report(logging.ERROR, f"{more} not whole")
        n_unclaimed = self._staged.count(self._listed())
        if n_unclaimed:
            files = counted(n_unclaimed, "file that belongs", "files that belong")
            self._report(
                logging.INFO, f"{files} to no run so far: kept in LOGS until a manifest lists what belongs to it"
            )
        self._outbox.append(RunsFinished(len(lines)))

    def _describe(self, pending: PendingManifest) -> str:
        """Return a line about a run that is not in its place."""
        manifest = self._pending.load(pending)
        if pending.failure or manifest is None:
            return f"run {_shown(pending.run)} is not in its place: {pending.failure}"
        missing = [version for version in versions(manifest) if not self._files.has(version)]
        total = manifest.head.n_files + 1
        if not missing:
            return f"run {_shown(pending.run)} is not in its place: its files are changing"
        of_all = f"{len(missing):,} of {counted(total, 'file')}"
        are = "is missing:" if len(missing) == 1 else "are missing, such as"
        first = printable(missing[0].path) + self._files.describe_missing(missing[0])
        return f"run {_shown(pending.run)} is not whole: {of_all} {are} {first}"

    def _listed(self) -> set[bytes]:
        """Return the keys of the paths of all files of the runs that are not in their places."""
        keys: set[bytes] = set()
        for pending in self._pending.complete():
            manifest = self._pending.load(pending)
            if manifest is not None:
                keys.update(path_key(version.path) for version in versions(manifest))
        return keys


def _shown(run: bytes) -> str:
    return printable(run) or "."
