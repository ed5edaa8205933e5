"""Comparing what is in the directory, and what its tables record as uploaded, with what is on the topic."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from dfud.core.assembly import missing_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import BadRow, CompletedRow, read_completed, version_of
from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.open_folder import OpenFolder
from dfud.files.openat import DEFAULT_LINKS
from dfud.logs.table_files import read_lines
from dfud.messages import PartialVersion
from dfud.verifying.collector import TopicContent
from dfud.verifying.findings import Findings
from dfud.verifying.report import FileStatus, FileVerdict, RowVerdict

_REOPEN_EVERY_ROWS = 1000  # so that folders that are renamed meanwhile are noticed

_OTHER_BYTES = "the topic has other bytes of this size"
_OTHER_VERSION = "the topic has only another version of it"


def compare_file(local: FileVersion, content: TopicContent) -> FileVerdict:
    """Return how a local file compares with the topic."""
    findings, partial = content.findings, content.partials.get(local.path)
    if findings.is_same(local):
        return FileVerdict(local, FileStatus.SAME)
    if findings.is_differing(local) or (partial is not None and partial.bad):
        return FileVerdict(local, FileStatus.DIFFERS, reason=_OTHER_BYTES)
    if partial is not None and partial.is_here:
        return FileVerdict(local, FileStatus.INCOMPLETE, _missing(partial))
    if partial is not None or findings.has_other_size(local.path):
        return FileVerdict(local, FileStatus.DIFFERS, reason=_OTHER_VERSION)
    return FileVerdict(local, FileStatus.MISSING)


def _missing(partial: PartialVersion) -> str:
    """Return the ranges of chunks that the topic lacks; "" if that cannot be known."""
    if partial.size is None or not partial.chunk_size:
        return ""
    return str(missing_chunks(RangeSet(partial.spans), partial.size, partial.chunk_size))


def compare_tables(
    logs: OpenFolder,
    tables: Iterable[str],
    directory: str,
    findings: Findings,
    links: LinkPolicy = DEFAULT_LINKS,
) -> Iterator[RowVerdict]:
    """Yield a verdict for each row of the completed tables at these paths in `logs`."""
    tree = ConfinedTree(directory, links)
    for table in tables:
        for number, row in enumerate(read_completed(read_lines(logs, table)), 1):
            if isinstance(row, BadRow):
                yield RowVerdict(b"", f"row {row.number} of {table} cannot be read: {row.reason}")
                continue
            if number % _REOPEN_EVERY_ROWS == 0:
                tree.close_folders()
            yield RowVerdict(os.fsencode(row.rel_filepath), _row_fault(row, tree, findings))
    tree.close()


def _row_fault(row: CompletedRow, tree: ConfinedTree, findings: Findings) -> str:
    """Return what is wrong with the upload that a row records, or ""."""
    version = version_of(row)
    status = tree.stat_file(version.path)
    if status is not None and (status.st_size, status.st_mtime_ns) == (version.size, version.mtime_ns):
        if not findings.is_same(version):
            return "is recorded as uploaded, but its bytes are not those on the topic"
        return ""
    if not findings.has_complete(version, bytes.fromhex(row.xxh3_128)):
        return "is recorded as uploaded, but is not complete and intact on the topic"
    return ""
