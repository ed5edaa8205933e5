"""What the supervisor needs to know about parts, to merge those of files whose chunks several fetchers have."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.core.chunk import SHA512
from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartMetadata
from dfud.messages import PartReport, Ranges

_MAX_OFTEN_RANGES = 1_000  # a part in more ranges of bytes is reported less often


class PartReports:
    """Collects which parts have changed since they were last reported."""

    def __init__(self) -> None:
        self._changed: dict[bytes, Part] = {}  # by identity
        self._loaded: list[tuple[bytes, int | None, Ranges]] = []  # parts of earlier runs
        self._gone: list[bytes] = []  # parts that were reported, and no longer exist

    def on_loaded(self, identity: bytes, metadata: PartMetadata) -> None:
        """Add a part of an earlier run."""
        self._loaded.append((identity, metadata.size, metadata.spans.ranges()))

    def on_changed(self, part: Part) -> None:
        """Add a part whose bytes have changed."""
        self._changed[part.identity] = part

    def on_dropped(self, part: Part) -> None:
        """Add a part that no longer exists."""
        if part.is_reported:
            self._gone.append(part.identity)

    def forget(self, part: Part) -> None:
        """Leave out the changes of a part."""
        if self._changed.get(part.identity) is part:
            del self._changed[part.identity]

    def take_often(self) -> list[PartReport]:
        """Return the changes of OpenMSIStream's files, whose chunks are spread over all partitions."""
        return self._take(
            part
            for part in list(self._changed.values())
            if part.algorithm == SHA512 and part.assembly.spans.n_ranges < _MAX_OFTEN_RANGES
        )

    def take_all(self) -> list[PartReport]:
        """Return all changes: the chunks of any file may lie in several partitions, though that is rare."""
        return self._take(list(self._changed.values()))

    def _take(self, parts: Iterable[Part]) -> list[PartReport]:
        reports = [PartReport(identity, size, spans) for identity, size, spans in self._loaded]
        reports += [PartReport(identity, None, ()) for identity in self._gone]
        self._loaded, self._gone = [], []
        for part in parts:
            self.forget(part)
            if not part.is_in_place and not part.failure:
                part.is_reported = True
                assembly = part.assembly
                reports.append(PartReport(part.identity, assembly.size, assembly.spans.ranges()))
        return reports
