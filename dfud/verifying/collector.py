"""Merging what the readers of a verification report."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import msgspec

from dfud.core.assembly import Assembly
from dfud.core.chunk import SHA512
from dfud.core.ranges import RangeSet
from dfud.core.text import escaped
from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import (
    BrokerOutage,
    FromReader,
    Notice,
    PartialVersion,
    ReaderDone,
    VersionVerdicts,
)
from dfud.processes.dispatch import Dispatcher
from dfud.verifying.findings import ABSENT, CORRUPT, DIFFERS, SAME, Findings, pack_record


class TopicContent(NamedTuple):
    """What is on the topic."""

    findings: Findings  # of complete versions
    partials: dict[bytes, PartialVersion]  # by path: versions that are not complete
    totals: ReaderDone  # of all readers


class Collector:
    """Merges the reports of all readers, of which several may have found chunks of one version."""

    def __init__(self) -> None:
        """Begin with nothing; `handle` takes one message of a reader."""
        self._records: list[bytes] = []
        self._path_hashes: list[bytes] = []
        self._partials: dict[tuple[bytes, int | None, int | None, str], PartialVersion] = {}
        self._totals = ReaderDone(0, 0, 0)
        self.handle: Dispatcher[FromReader] = Dispatcher(
            FromReader,
            {
                VersionVerdicts: self._on_verdicts,
                PartialVersion: self._on_partial,
                ReaderDone: self._on_done,
                BrokerOutage: self._on_outage,
                Notice: self._on_notice,
            },
        )

    def _on_verdicts(self, verdicts: VersionVerdicts) -> None:
        self._records.append(verdicts.records)
        self._path_hashes.append(verdicts.paths)

    def _on_partial(self, partial: PartialVersion) -> None:
        """Merge what several readers have found of one version."""
        is_sha512 = partial.algorithm == SHA512  # its messages state the digest, and only the last one the size
        key = (
            partial.path,
            None if is_sha512 else partial.size,
            partial.mtime_ns,
            partial.digest if is_sha512 else "",
        )
        known = self._partials.get(key)
        self._partials[key] = partial if known is None else _merge(known, partial)

    def _on_done(self, done: ReaderDone) -> None:
        totals = self._totals
        self._totals = ReaderDone(
            totals.messages + done.messages, totals.bytes + done.bytes, totals.refused + done.refused
        )

    def _on_outage(self, outage: BrokerOutage) -> None:
        text = (
            f"broker unreachable ({outage.reason}): retrying"
            if outage.reason
            else "broker reachable again: verification resumed"
        )
        print(escaped(text), file=sys.stderr)

    def _on_notice(self, notice: Notice) -> None:
        print(escaped(notice.text), file=sys.stderr)

    def finish(self, directory: str, links: LinkPolicy = DEFAULT_LINKS) -> TopicContent:
        """Return what was collected, and forget it.

        Versions that are complete only with the chunks of several readers are checked here.
        """
        tree = ConfinedTree(directory, links)
        incomplete: dict[bytes, PartialVersion] = {}
        for partial in self._partials.values():
            if partial.size is not None and partial.digest and RangeSet(partial.spans).covers(partial.size):
                self._records.append(_check_merged(tree, partial, partial.size))
            else:
                incomplete[partial.path] = partial
        tree.close()
        self._partials.clear()
        findings = Findings.from_batches(self._records, self._path_hashes)
        self._path_hashes.clear()
        return TopicContent(findings, incomplete, self._totals)


def _merge(one: PartialVersion, other: PartialVersion) -> PartialVersion:
    spans = RangeSet(one.spans)
    spans.update(other.spans)
    return msgspec.structs.replace(
        other,
        size=other.size if other.size is not None else one.size,
        chunk_size=other.chunk_size or one.chunk_size,
        digest=other.digest or one.digest,
        spans=spans.ranges(),
        bad=one.bad + other.bad,
        is_here=one.is_here or other.is_here,
    )


def _check_merged(tree: ConfinedTree, partial: PartialVersion, size: int) -> bytes:
    """Return the record of a version that is complete, and whose chunks several readers have compared."""
    version = FileVersion(partial.path, size, partial.mtime_ns or 0)
    status = tree.stat_file(partial.path)
    local = None
    state = ABSENT
    if status is not None and status.st_size == size and partial.is_here:
        local = FileVersion(partial.path, status.st_size, status.st_mtime_ns)
        state = DIFFERS
        if not partial.bad:
            state = SAME if _has_digest(tree, partial, size) else CORRUPT
    return pack_record(version, partial.algorithm, partial.digest, local, state)


def _has_digest(tree: ConfinedTree, partial: PartialVersion, size: int) -> bool:
    """Return whether the local file has the digest of a version."""
    assembly = Assembly(partial.algorithm, size)
    assembly.digest = partial.digest
    try:
        file_fd = tree.open(partial.path)
    except OSError:
        return False
    try:
        return assembly.verify(lambda length, offset: os.pread(file_fd, length, offset))
    finally:
        os.close(file_fd)
