"""What a download counts."""

from __future__ import annotations

from typing import NamedTuple


class DownloadCounts(NamedTuple):
    """Sums since a start, or since the last report."""

    messages: int = 0
    bytes: int = 0  # of the chunks
    files: int = 0  # put in their place
    duplicates: int = 0  # chunks that were there already
    superseded: int = 0  # chunks and files of versions older than what is in place
    left_out: int = 0  # chunks of files that --download_regex leaves out
    foreign: int = 0  # messages that are no chunks of files
    refused: int = 0  # messages that can't be true, or whose path or place in the file can't be had
    wrong: int = 0  # files with all their bytes, which are not those of their digest
    unplaced: int = 0  # files that are whole and could not be put in their place

    def plus(self, more: DownloadCounts) -> DownloadCounts:
        return DownloadCounts(*(one + other for one, other in zip(self, more)))


class Tally:
    """Counts that are being made."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(DownloadCounts._fields, 0)

    def add(self, name: str, number: int = 1) -> None:
        self._counts[name] += number

    def take(self) -> DownloadCounts:
        """Return what was counted since the last time."""
        counts = DownloadCounts(**self._counts)
        self._counts = dict.fromkeys(DownloadCounts._fields, 0)
        return counts


def summary(counts: DownloadCounts) -> str:
    """Return one line of what there was, without what there was none of."""
    text = f"{counts.messages} messages read, {counts.bytes / 1e6:.1f} MB, {counts.files} files put in their place"
    for number, what in (
        (counts.duplicates, "chunks came twice"),
        (counts.superseded, "chunks or files of older versions left out"),
        (counts.left_out, "chunks left out by --download_regex"),
        (counts.foreign, "messages were no chunks of files"),
        (counts.refused, "messages refused"),
        (counts.wrong, "files with wrong bytes"),
        (counts.unplaced, "files that could not be put in their place"),
    ):
        if number:
            text += f", {number} {what}"
    return text
