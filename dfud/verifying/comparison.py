"""Comparing what is in the directory, and what its tables record as uploaded, with what is on the topic."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from dfud.core.assembly import missing_chunks
from dfud.core.names import path_fault
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
from dfud.verifying.findings import mtimes_of
from dfud.verifying.report import FileStatus, FileVerdict, RowVerdict

_REOPEN_EVERY_ROWS = 1000  # so that folders that are renamed meanwhile are noticed

_OTHER_BYTES = "the topic has other bytes of this size"
_OTHER_VERSION = "the topic has only another version of it"
_OUTDATED = "the topic has it, but another version was sent later"
_REFUSED = "a download refuses its path: {}"


def compare_file(local: FileVersion, content: TopicContent) -> FileVerdict:
    """Return how a local file compares with what a download of the topic would give."""
    findings = content.findings
    if findings.is_same(local):
        return FileVerdict(local, FileStatus.SAME)
    partials = content.partials.get(local.path, ())
    if findings.is_outdated(local):
        return FileVerdict(local, FileStatus.DIFFERS, reason=_OUTDATED)
    if findings.is_differing(local) or any(each.is_bad for each in partials):
        return FileVerdict(local, FileStatus.DIFFERS, reason=_OTHER_BYTES)
    for partial in partials:
        if partial.is_here:
            return FileVerdict(local, FileStatus.INCOMPLETE, missing_ranges(partial))
    if partials or findings.has_other_size(local.path):
        return FileVerdict(local, FileStatus.DIFFERS, reason=_OTHER_VERSION)
    fault = path_fault(local.path)
    return FileVerdict(local, FileStatus.MISSING, reason=_REFUSED.format(fault) if fault else "")


def missing_ranges(partial: PartialVersion) -> str:
    """Return the ranges of chunks that the topic lacks; "" if that cannot be known."""
    if partial.size is None or not partial.chunk_size:
        return ""
    return str(missing_chunks(RangeSet(partial.spans), partial.size, partial.chunk_size))


def compare_tables(
    logs: OpenFolder,
    tables: Iterable[str],
    directory: str,
    content: TopicContent,
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
            yield RowVerdict(os.fsencode(row.rel_filepath), _row_fault(row, tree, content))
    tree.close()


def _row_fault(row: CompletedRow, tree: ConfinedTree, content: TopicContent) -> str:
    """Return what is wrong with the upload that a row records, or ""."""
    version, findings = version_of(row), content.findings
    status = tree.stat_file(version.path)
    is_here = status is not None and (status.st_size, status.st_mtime_ns) == (version.size, version.mtime_ns)
    if is_here and (findings.is_same(version) or findings.is_outdated(version)):
        return ""
    if is_here and findings.is_differing(version):
        return "is recorded as uploaded, but its bytes are not those on the topic"
    if not is_here and findings.has_complete(version, bytes.fromhex(row.xxh3_128)):
        return ""
    if findings.has_other_content(version):
        return "is recorded as uploaded, but the topic has other bytes of this version"
    for partial in content.partials.get(version.path, ()):
        if partial.mtime_ns in mtimes_of(version) and partial.size in (None, version.size):
            missing = missing_ranges(partial)
            which = f"chunks {missing}" if missing else "some of its chunks"
            return f"is recorded as uploaded, but {which} are missing on the topic"
    return "is recorded as uploaded, but this version is missing on the topic"
