"""Comparing what the manifest of a run says with the topic, and with the directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from dfud.core.manifest import Manifest
from dfud.core.manifest_reader import ManifestReader
from dfud.core.place import is_after
from dfud.core.version import FileVersion
from dfud.files.links import LinkPolicy
from dfud.files.openat import look
from dfud.messages import Gap, ManifestRead, ReaderDone
from dfud.verifying.collector import Collector, TopicContent
from dfud.verifying.comparison import compare_file, missing_ranges
from dfud.verifying.reader import ReadSettings
from dfud.verifying.report import FileStatus, FileVerdict, Report

_OTHER_BYTES = "the topic has other bytes of it than the manifest says"
_OTHER_VERSION = "the directory has another version of it than the manifest says"
_OUTDATED = "the topic has it, but another version was sent later"


class _Placed(NamedTuple):
    manifest: Manifest
    place: bytes  # of the message that completed it


class RunManifests:
    """Responsible for the manifests of one run, of which the one that was sent last counts."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Report by `say` what cannot be used."""
        self._reader = ManifestReader()
        self._say = say
        self._last: _Placed | None = None

    def add(self, message: ManifestRead) -> None:
        """Take a message of a manifest."""
        try:
            manifest = self._reader.add(message.key, message.value, message.headers)
        except ValueError as error:
            self._say(f"a manifest of the run cannot be used: {error}")
            return
        if manifest is not None and (self._last is None or is_after(message.place, self._last.place)):
            self._last = _Placed(manifest, message.place)

    @property
    def last(self) -> Manifest | None:
        """The manifest that counts; None if there is none that is complete."""
        return self._last and self._last.manifest


def compare_run(
    run: bytes,
    manifest: Manifest | None,
    settings: ReadSettings,
    collector: Collector,
    gaps: Iterable[Gap],
    report: Report,
) -> ReaderDone:
    """Report how a run, as its manifest lists it, compares with what was read; return what was read in all."""
    listed = () if manifest is None else (*(file.path for file in manifest.files), manifest.head.marker.path)
    content = collector.finish(settings.directory, settings.links, listed)
    if manifest is None:
        report.add_unsealed(run)
    else:
        report.set_manifest(manifest.id)
        dir_fd = os.open(settings.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for verdict in check_run(manifest, content, dir_fd, settings.links):
            report.add_file(verdict)
        os.close(dir_fd)
    if content.is_replaced:
        report.add_replaced(settings.topic)
    if not report.is_faultless:  # otherwise what could not be read is not of the run
        for gap in (*gaps, *content.gaps):
            report.add_gap(gap)
    return msgspec.structs.replace(content.totals, dropped=0)  # likewise


def check_run(manifest: Manifest, content: TopicContent, dir_fd: int, links: LinkPolicy) -> Iterator[FileVerdict]:
    """Yield a verdict for each file of a run, and its marker.

    `content` is that of the topic, with the last versions of all of them; `dir_fd` is the open directory.
    """
    for version, digest in (
        *((file.version, file.xxh3_128) for file in manifest.files),
        (manifest.head.marker, ""),
    ):
        fault = _topic_fault(version, digest, content)
        verdict = fault or _compare_local(version, content, dir_fd, links)
        yield verdict


def _topic_fault(version: FileVersion, digest: str, content: TopicContent) -> FileVerdict | None:
    """Return what is wrong with a version on the topic, whatever is in the directory; None if it is there."""
    findings = content.findings
    if findings.has_complete(version, bytes.fromhex(digest)) if digest else findings.has_other_content(version):
        last = findings.last_version(version.path)
        is_last = last is None or last == version.identity()
        return None if is_last else FileVerdict(version, FileStatus.DIFFERS, reason=_OUTDATED)
    if findings.has_other_content(version):
        return FileVerdict(version, FileStatus.DIFFERS, reason=_OTHER_BYTES)
    for partial in content.partials.get(version.path, ()):
        if (partial.size, partial.mtime_ns) == version[1:]:
            return FileVerdict(version, FileStatus.INCOMPLETE, missing_ranges(partial))
    return FileVerdict(version, FileStatus.MISSING)


def _compare_local(version: FileVersion, content: TopicContent, dir_fd: int, links: LinkPolicy) -> FileVerdict:
    """Return the verdict on a version that is on the topic."""
    try:
        status = look(dir_fd, version.path, links)
    except OSError:
        return FileVerdict(version, FileStatus.SAME, is_here=False)
    if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_mtime_ns) != version[1:]:
        return FileVerdict(version, FileStatus.DIFFERS, reason=_OTHER_VERSION)
    return compare_file(version, content)
