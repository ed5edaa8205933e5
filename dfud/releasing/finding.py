"""Finding the files in the directory that may go, as far as the directory and its tables tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.names import LOGS, UploadFilter, is_releasing
from dfud.files.confined import ConfinedTree
from dfud.files.scan import Folder, ScannedFile, WatchedTree
from dfud.releasing.candidates import Candidate, Candidates
from dfud.releasing.content import digest_of
from dfud.releasing.decision import Evidence, evidence_of
from dfud.releasing.recorded_rows import RecordedUploads
from dfud.releasing.unsealed_runs import UnsealedRuns
from dfud.watch.file_systems import Traits

NOT_RECORDED = "not recorded as uploaded in their present version"
IN_PROGRESS = "being uploaded"
NO_DIGEST = "of unknown digest, as OpenMSIStream uploaded them: --rehash reads them"
TOO_YOUNG = "younger than --older_than"
ELSEWHERE = "on other file systems than DIR, where --keep_free looks"
UNSEALED = "of runs that are not sealed yet"
_UNREADABLE = "that cannot be read"


class ReleaseFilter:
    """Which files are looked at: all that are not in LOGS, or those that match a regular expression."""

    def __init__(self, chosen: UploadFilter | None, logs: bytes, unsealed: UnsealedRuns | None = None) -> None:
        """Leave out LOGS, and `logs`, its path below the directory if it is elsewhere there.

        `unsealed` hears of each file that is there, chosen or not.
        """
        self._chosen = chosen
        self._unsealed = unsealed
        self._logs = (LOGS + b"/", logs + b"/")
        self.private: list[bytes] = []  # names that a release has left which nobody knows of

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be looked at."""
        if is_releasing(path):
            self.private.append(path)
            return False
        if path.startswith(self._logs):
            return False
        if self._unsealed is not None:
            self._unsealed.on_found(path)
        return self._chosen is None or self._chosen.accepts(path)

    def accepts_folder(self, path: bytes) -> bool:
        """Return whether a file below a folder may be accepted."""
        if self._chosen is not None:
            return self._chosen.accepts_folder(path)
        return not (path + b"/").startswith(self._logs)


class Wanted(NamedTuple):
    """Which files the user wants to be looked at."""

    before_ns: int | None  # those last modified before that
    device: int | None  # those on this file system
    reads_all: bool  # what a file holds is read, whatever its row and its times say


class Finder:
    """Responsible for the candidates, and for the numbers of the files that are none."""

    def __init__(
        self,
        directory: str,
        uploads: RecordedUploads,
        wanted: Wanted,
        traits: Callable[[bytes, int], Traits],
    ) -> None:
        """Look for files in `directory`, which is free of links."""
        self._directory = directory
        self._uploads = uploads
        self._wanted = wanted
        self._traits = traits
        self.stay: Counter[str] = Counter()  # files, by why they stay
        self.n_files = 0

    def find(self, tree: WatchedTree, is_stopping: Callable[[], bool] = lambda: False) -> Candidates:
        """Return the files that may go; those found until it `is_stopping`."""
        candidates = Candidates()
        for file in _files(tree, is_stopping):
            self.n_files += 1
            candidate = self._judge(file)
            if isinstance(candidate, str):
                self.stay[candidate] += 1
            else:
                candidates.add(candidate)
        candidates.build_index()
        return candidates

    def _judge(self, file: ScannedFile) -> Candidate | str:
        version, wanted = file.version, self._wanted
        if wanted.device not in (None, file.device):
            return ELSEWHERE
        if wanted.before_ns is not None and version.mtime_ns >= wanted.before_ns:
            return TOO_YOUNG
        row = self._uploads.find(version)
        traits = self._traits(version.path, file.device)
        trusts_ctime = traits.is_local and traits.keeps_ctime
        evidence = evidence_of(file.ctime_ns, row, trusts_ctime, wanted.reads_all)
        if row is None or evidence is Evidence.NONE:
            return NOT_RECORDED
        if self._uploads.is_in_progress(version.path):
            return IN_PROGRESS
        if row.digest:
            return Candidate(file, row.digest, evidence)
        if not wanted.reads_all:
            return NO_DIGEST
        digest = self._read(version.path)
        return _UNREADABLE if digest is None else Candidate(file, digest, evidence)

    def _read(self, path: bytes) -> bytes | None:
        """Return the digest of a file; it is read again before it goes."""
        tree = ConfinedTree(self._directory)
        try:
            descriptor = tree.open(path)
            try:
                return digest_of(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return None
        finally:
            tree.close()


def _files(tree: WatchedTree, is_stopping: Callable[[], bool]) -> Iterator[ScannedFile]:
    for item in tree.walk(Folder(b"", take_all=True)):
        if item is not None:
            yield item[0]
        elif is_stopping():
            return
