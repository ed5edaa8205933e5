"""What a download counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from dfud.core.text import counted


@dataclasses.dataclass
class DownloadCounts:
    """Sums since the start, or since the last report."""

    messages: int = 0
    bytes: int = 0  # of chunks
    files: int = 0  # put in place
    duplicates: int = 0  # chunks that were there already
    superseded: int = 0  # chunks and files of versions older than what is in place
    left_out: int = 0  # chunks of files that do not match --download_regex
    foreign: int = 0  # messages that are not chunks of files
    refused: int = 0  # messages that cannot be true, or cannot be written
    wrong: int = 0  # complete files whose digest does not match
    unplaced: int = 0  # complete files that could not be put in place
    dropped: int = 0  # incomplete files that were given up, because there were too many
    undecided: int = 0  # files of which it takes too long to find out whether they match --download_regex

    def add(self, more: Iterable[int]) -> None:
        """Add counts in the order of the fields."""
        for field, number in zip(dataclasses.fields(self), more):
            setattr(self, field.name, getattr(self, field.name) + number)

    def take(self) -> tuple[int, ...]:
        """Return the counts in the order of the fields, and start again from zero."""
        taken: tuple[int, ...] = dataclasses.astuple(self)
        for field in dataclasses.fields(self):
            setattr(self, field.name, 0)
        return taken

    @property
    def failed(self) -> int:
        """The files that will not be in their place."""
        return self.wrong + self.dropped + self.undecided

    def summary(self) -> str:
        """Return one line with all counts but those that are zero."""
        parts = [
            f"{counted(self.messages, 'message')} read",
            f"{self.bytes / 1e6:.1f} MB",
            f"{counted(self.files, 'file')} completed",
        ]
        if self.duplicates:
            parts.append(f"{counted(self.duplicates, 'chunk')} received twice")
        if self.superseded:
            parts.append(
                f"{counted(self.superseded, 'chunk or file', 'chunks or files')} of older versions skipped"
            )
        if self.left_out:
            parts.append(f"{counted(self.left_out, 'chunk')} excluded by --download_regex")
        if self.foreign:
            parts.append(f"{counted(self.foreign, 'message')} without a chunk of a file skipped")
        if self.refused:
            parts.append(f"{counted(self.refused, 'message')} refused")
        if self.wrong:
            parts.append(f"{counted(self.wrong, 'file')} with a wrong digest")
        if self.unplaced:
            parts.append(f"{counted(self.unplaced, 'file')} that could not be put in place")
        if self.dropped:
            parts.append(f"{counted(self.dropped, 'incomplete file')} given up")
        if self.undecided:
            parts.append(f"{counted(self.undecided, 'file')} on whose name --download_regex backtracks")
        return ", ".join(parts)
