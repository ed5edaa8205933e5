"""Merging what the readers of a verification report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from dfud.core.assembly import Assembly
from dfud.core.chunk import SHA512
from dfud.core.place import is_after
from dfud.core.ranges import RangeSet
from dfud.core.text import escaped
from dfud.core.version import FileVersion
from dfud.errors import DfudError, UsageError
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import (
    BrokerOutage,
    Checked,
    FromReader,
    Gap,
    ManifestRead,
    Notice,
    PartialVersion,
    ReaderDone,
    ReadFailed,
    TopicReplaced,
    VersionVerdicts,
)
from dfud.processes.dispatch import Dispatcher
from dfud.verifying.clash import find_clash
from dfud.verifying.findings import (
    ABSENT,
    CORRUPT,
    DIFFERS,
    SAME,
    Findings,
    pack_clash,
    pack_record,
    path_hash,
)
from dfud.verifying.verify_activity import VerifyActivity


class TopicContent(NamedTuple):
    """What is on the topic."""

    findings: Findings  # of complete versions
    partials: dict[bytes, list[PartialVersion]]  # by path: versions of which chunks are missing
    totals: ReaderDone  # of all readers
    gaps: list[Gap]  # what could not be read, or was deleted since the start
    is_replaced: bool  # the topic was made anew meanwhile


class Collector:
    """Merges the reports of all readers, of which several may have found chunks of one version."""

    def __init__(
        self,
        activity: VerifyActivity | None = None,
        say: Callable[[str], None] | None = None,
        on_manifest: Callable[[ManifestRead], None] = lambda _: None,
    ) -> None:
        """Begin with nothing; `handle` takes one message of a reader.

        `say` gets lines for the user; by default they go to standard error. `on_manifest` gets the messages of
        manifests, if a run is verified.
        """
        self._activity = activity or VerifyActivity(0)
        self._say = say or _print
        self._records: list[bytes] = []
        self._clashes: list[bytes] = []
        self._partials: dict[tuple[bytes, int | None, int | None, str], PartialVersion] = {}
        self._totals = ReaderDone(0, 0, 0)
        self._gaps: list[Gap] = []
        self._is_replaced = False
        self.handle: Dispatcher[FromReader] = Dispatcher(
            FromReader,
            {
                VersionVerdicts: self._on_verdicts,
                ManifestRead: on_manifest,
                PartialVersion: self._on_partial,
                Checked: self._activity.add,
                ReaderDone: self._on_done,
                ReadFailed: self._on_failed,
                BrokerOutage: self._on_outage,
                Notice: self._on_notice,
                Gap: self._gaps.append,
                TopicReplaced: self._on_replaced,
            },
        )

    def _on_verdicts(self, verdicts: VersionVerdicts) -> None:
        self._records.append(verdicts.records)
        self._clashes.append(verdicts.clashes)

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
            totals.messages + done.messages,
            totals.bytes + done.bytes,
            totals.refused + done.refused,
            totals.dropped + done.dropped,
        )

    def _on_failed(self, failed: ReadFailed) -> None:
        kind = UsageError if failed.is_forbidden else DfudError
        raise kind(failed.reason)

    def _on_outage(self, outage: BrokerOutage) -> None:
        text = (
            f"broker unreachable ({outage.reason}): retrying"
            if outage.reason
            else "broker reachable again: verification resumed"
        )
        self._activity.is_broker_away = bool(outage.reason)
        self._say(text)

    def _on_replaced(self, _: TopicReplaced) -> None:
        self._is_replaced = True

    def _on_notice(self, notice: Notice) -> None:
        self._say(notice.text)

    def finish(
        self, directory: str, links: LinkPolicy = DEFAULT_LINKS, asked_paths: Iterable[bytes] = ()
    ) -> TopicContent:
        """Return what was collected, and forget it.

        Versions that are complete only with the chunks of several readers are checked here. The findings know the
        last versions of `asked_paths`.
        """
        tree = ConfinedTree(directory, links)
        incomplete: list[PartialVersion] = []
        for partial in self._partials.values():
            if partial.size is not None and partial.digest and RangeSet(partial.spans).covers(partial.size):
                self._add_merged(tree, partial, partial.size)
            else:
                incomplete.append(partial)
        tree.close()
        self._partials.clear()
        asked = {path_hash(partial.path) for partial in incomplete}
        asked.update(map(path_hash, asked_paths))
        findings = Findings.from_batches(self._records, self._clashes, asked)
        self._clashes.clear()
        partials: dict[bytes, list[PartialVersion]] = {}
        for partial in incomplete:
            version = FileVersion(partial.path, partial.size or 0, partial.mtime_ns or 0)
            if not findings.is_past(version, partial.sent):
                partials.setdefault(partial.path, []).append(partial)
        return TopicContent(findings, partials, self._totals, self._gaps, self._is_replaced)

    def _add_merged(self, tree: ConfinedTree, partial: PartialVersion, size: int) -> None:
        self._records.append(_check_merged(tree, partial, size))
        clash = b"" if partial.is_here else find_clash(tree, partial.path)
        if clash:
            self._clashes.append(pack_clash(clash, partial.sent))


def _print(text: str) -> None:
    print(escaped(text), file=sys.stderr)


def _merge(one: PartialVersion, other: PartialVersion) -> PartialVersion:
    spans = RangeSet(one.spans)
    spans.update(other.spans)
    return msgspec.structs.replace(
        other,
        size=other.size if other.size is not None else one.size,
        chunk_size=other.chunk_size or one.chunk_size,
        digest=other.digest or one.digest,
        spans=spans.ranges(),
        is_bad=one.is_bad or other.is_bad,
        is_here=one.is_here or other.is_here,
        sent=one.sent if is_after(one.sent, other.sent) else other.sent,
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
        if not partial.is_bad:
            state = SAME if _has_digest(tree, partial, size) else CORRUPT
    return pack_record(version, partial.sent, partial.algorithm, partial.digest, local, state)


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
