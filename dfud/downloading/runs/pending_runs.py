"""The runs of which manifests were read, and that are not in their places yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from dfud.core.manifest import Manifest, ManifestPart, manifest_of
from dfud.core.sent import Sent
from dfud.core.text import printable
from dfud.downloading.runs.manifest_store import ManifestStore
from dfud.downloading.supervisor_link import Report

_MAX_CACHED_FILES = 200_000  # of all manifests in memory, of some 500 bytes each


class _Stored(NamedTuple):
    """A message that is on disk."""

    name: str  # of its file
    sent: Sent


class _Key(NamedTuple):
    """What all messages of one manifest have in common."""

    run: bytes
    id: str
    n_parts: int


class PendingManifest:
    """One manifest of a run, as far as it has been read."""

    def __init__(self, key: _Key) -> None:
        self.run, self.id, self.n_parts = key
        self.parts: dict[int, _Stored] = {}  # by number
        self.n_found = 0  # of its versions, those that were found one after another when they were last looked at
        self.is_new = True  # it was not compared with what is in place
        self.failure = ""  # why the last attempt to put it in its place has failed
        self.next_attempt = 0.0  # not before this time (monotonic, s)

    @property
    def is_complete(self) -> bool:
        """Whether all of its messages were read."""
        return len(self.parts) == self.n_parts

    @property
    def sent(self) -> Sent:
        """Where the last of its messages was sent."""
        latest, *others = (stored.sent for stored in self.parts.values())
        for sent in others:
            latest = sent if sent.is_after(latest) else latest
        return latest


class PendingRuns:
    """Responsible for which manifest of a run counts: of those that are complete, the one that was sent last."""

    def __init__(self, store: ManifestStore, report: Report) -> None:
        """Use what is in `store`."""
        self._store = store
        self._report = report
        self._names: set[str] = set()  # of the files that were looked at
        self._manifests: dict[_Key, PendingManifest] = {}
        self._cached: dict[_Key, Manifest] = {}

    def __len__(self) -> int:
        """Return the number of runs, or more while a run has several manifests."""
        return len(self._manifests)

    def update(self) -> None:
        """Take what was stored since the last call; OSError."""
        names = set(self._store.names())
        for name in sorted(names - self._names):
            try:
                self._add(name, *self._store.read(name))
            except (OSError, ValueError) as error:
                self._report(logging.WARNING, f"a manifest in LOGS cannot be used ({error}); it is removed")
                self._store.remove([name])
        self._drop_superseded()

    def _add(self, name: str, part: ManifestPart, sent: Sent) -> None:
        key = _Key(part.head.run, part.id, part.n_parts)
        if part.n_parts == 1:
            self._cache(key, manifest_of([part]))
        self._names.add(name)
        manifest = self._manifests.setdefault(key, PendingManifest(key))
        known = manifest.parts.get(part.number)
        if known is None or sent.is_after(known.sent):
            manifest.parts[part.number] = _Stored(name, sent)
            needless = known
        else:
            needless = _Stored(name, sent)
        if needless is not None:
            self._remove([needless])

    def _drop_superseded(self) -> None:
        latest: dict[bytes, PendingManifest] = {}
        for manifest in self.complete():
            known = latest.get(manifest.run)
            if known is None or manifest.sent.is_after(known.sent):
                latest[manifest.run] = manifest
        for manifest in list(self._manifests.values()):
            last = latest.get(manifest.run)
            if last is not None and last is not manifest and last.sent.is_after(manifest.sent):
                self.drop(manifest)

    def complete(self) -> list[PendingManifest]:
        """Return those of which all messages were read; of runs in runs, the inner ones first."""
        complete = [manifest for manifest in self._manifests.values() if manifest.is_complete]
        return sorted(complete, key=lambda each: (-each.run.count(b"/") if each.run else 1, each.run))

    def incomplete(self) -> list[PendingManifest]:
        """Return those of which messages are missing, in the order of their runs."""
        incomplete = (manifest for manifest in self._manifests.values() if not manifest.is_complete)
        return sorted(incomplete, key=lambda each: each.run)

    def load(self, pending: PendingManifest) -> Manifest | None:
        """Return a complete manifest; None, which is reported, if it contradicts itself or cannot be read."""
        key = _Key(pending.run, pending.id, pending.n_parts)
        manifest = self._cached.get(key)
        if manifest is None:
            try:
                parts = [self._store.read(pending.parts[number].name)[0] for number in sorted(pending.parts)]
                manifest = manifest_of(parts)
            except (OSError, ValueError) as error:
                text = (
                    f"the manifest of run {printable(pending.run) or '.'} cannot be used: {error}; it is removed"
                )
                self._report(logging.WARNING, text, pending.run)
                self.drop(pending)
                return None
            self._cache(key, manifest)
        return manifest

    def _cache(self, key: _Key, manifest: Manifest) -> None:
        """Hold a manifest in memory, instead of others if these are too many."""
        self._cached[key] = manifest
        n_files = sum(each.head.n_files for each in self._cached.values())
        while len(self._cached) > 1 and n_files > _MAX_CACHED_FILES:
            n_files -= self._cached.pop(next(iter(self._cached))).head.n_files

    def drop(self, pending: PendingManifest) -> None:
        """Forget a manifest, and remove its messages."""
        key = _Key(pending.run, pending.id, pending.n_parts)
        self._manifests.pop(key, None)
        self._cached.pop(key, None)
        self._remove(pending.parts.values())

    def _remove(self, stored: Iterable[_Stored]) -> None:
        names = [each.name for each in stored]
        self._store.remove(names)
        self._names.difference_update(names)
