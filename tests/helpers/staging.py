"""Runs as a download collects them: a real assembler and the process that places runs, without processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import xxhash

from dfud.core.manifest import ManifestFile, ManifestHead, Metadata, encode_manifest
from dfud.core.version import FileVersion
from dfud.downloading.assembler import Assembler
from dfud.downloading.disk import Disk
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.runs.folders import BUILDING, MANIFESTS, STAGED
from dfud.downloading.runs.settings import PLAIN, RunSettings
from dfud.downloading.runs.staging import open_staging
from dfud.downloading.runs.worker import RunWorker
from dfud.messages import FinishRuns, Notice, RunsFinished
from dfud.processes import links
from dfud.processes.channel import Channel
from tests.helpers.downloading import Record, contents, native
from tests.helpers.fetching import NOW, Taken

TOPIC = "T"
Files = Mapping[bytes, bytes]  # contents by path


def listed(path: bytes, data: bytes, mtime_ns: int = NOW) -> ManifestFile:
    """Return a file as a manifest lists it."""
    return ManifestFile(path, len(data), mtime_ns, xxhash.xxh3_128_hexdigest(data))


def manifest(
    run: bytes,
    files: list[ManifestFile],
    marker: FileVersion,
    metadata: Metadata = None,
    max_bytes: int = 500_000,
) -> list[Record]:
    """Return the messages of a manifest."""
    n_bytes = sum(file.size for file in files)
    time = "2026-03-01T11:00:00.123456+00:00"
    head = ManifestHead(TOPIC, run, marker, "host", "1", time, len(files), n_bytes)
    return [Record(*message) for message in encode_manifest(head, metadata, sorted(files), max_bytes)]


def sealed(run: bytes, files: Files, mtime_ns: int = NOW, done: bytes = b"done") -> list[Record]:
    """Return the messages of a whole run: its files, its manifest, and its marker."""
    folder = run + b"/" if run else b""
    records = [each for path, data in files.items() for each in native(folder + path, data, mtime_ns)]
    entries = [listed(folder + path, data, mtime_ns) for path, data in files.items()]
    marker = FileVersion(folder + b"Done", len(done), mtime_ns)
    return [*records, *manifest(run, entries, marker), *native(marker.path, done, mtime_ns)]


class Staging:
    """A directory below `top`, the messages that were taken, and what was said."""

    def __init__(self, top: Path, layout: str = PLAIN, with_ro_crate: bool = False) -> None:
        self.top = top
        self.parts = top / "LOGS" / f"download_from_{TOPIC}"
        self.parts.mkdir(parents=True, exist_ok=True)
        self.settings = RunSettings(layout, with_ro_crate)
        self.offset = 0
        self.said: list[str] = []
        self.refused: list[str] = []
        self.now = 0.0
        self.open()

    def open(self) -> None:
        """Begin a run of the program."""
        self._parts_fd = os.open(self.parts, os.O_RDONLY | os.O_DIRECTORY)
        self.tree, take_manifest = open_staging(
            self._parts_fd, str(self.top), TOPIC, lambda path: not path.startswith(b"unwanted")
        )
        self._assembler = Assembler(
            self.tree,
            PartsFolder(self._parts_fd),
            0,
            Disk(self._fail),
            True,
            lambda path: True,
            self._refuse,
            take_manifest=take_manifest,
        )
        self._channel, self._theirs = Channel.pair(links.RUN_PLACER)
        self.worker = RunWorker(
            self._theirs, str(self.top), self._parts_fd, TOPIC, self.settings, lambda: self.now
        )

    def close(self) -> None:
        """End it, as a kill does."""
        self.worker.close()
        self._assembler.close()
        self.tree.close()
        self._channel.close()
        self._theirs.close()
        os.close(self._parts_fd)

    def restart(self) -> None:
        """Go on with what is on disk."""
        self.close()
        self.open()

    def _fail(self, error: OSError) -> None:
        raise AssertionError(error)

    def _refuse(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        if level >= logging.WARNING:
            self.refused.append(text)

    def take(self, *records: Record, at: int | None = None) -> None:
        """Take messages, as from the next offsets, or from `at` on."""
        first = self.offset if at is None else at
        self.tree.close_folders()
        self._assembler.take([Taken(record, first + number) for number, record in enumerate(records)])
        self.offset = max(self.offset, first + len(records))

    def look(self) -> list[str]:
        """Have runs put in place; return the lines since the last call."""
        self.now += 100.0
        self.worker.look()
        self.worker._send()
        return self._received()[1]

    def end(self) -> tuple[int, list[str]]:
        """End as a download does; return the number of runs that are left, and the lines."""
        self._channel.send([FinishRuns()])
        self.worker.run_once()
        return self._received()

    def _received(self) -> tuple[int, list[str]]:
        n_left, lines = -1, []
        while messages := self._channel.receive(wait=False):
            for message in messages:
                if isinstance(message, Notice):
                    lines.append(message.text)
                elif isinstance(message, RunsFinished):
                    n_left = message.n_left
        return n_left, lines

    def files(self) -> dict[bytes, bytes]:
        """Return what a user sees."""
        return contents(self.top)

    def left(self) -> list[str]:
        """Return what is left out of sight."""
        return sorted(
            str(path.relative_to(self.parts))
            for name in (STAGED, MANIFESTS, BUILDING)
            for path in (self.parts / name).rglob("*")
        )
