"""The one line that says at the end what was done."""

from __future__ import annotations

from typing import NamedTuple

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.display.amounts import shown_rate


class Summary(NamedTuple):
    """What a run has done."""

    files: int
    versions: int | None  # of files; None where they are not counted apart
    bytes: int
    seconds: float
    failed: int  # files
    left: int  # files, for the next run

    def line(self) -> str:
        """Return the line.

        >>> Summary(3, 4, 61_234_567, 12.34, 1, 0).line()
        'summary: 3 files, 4 versions, 61.2 MB, 12.3 s, 5.0 MB/s, 1 failed, 0 left'
        """
        versions = () if self.versions is None else (counted(self.versions, "version"),)
        parts = (
            counted(self.files, "file"),
            *versions,
            shown_size(self.bytes),
            f"{self.seconds:,.1f} s",
            shown_rate(self.bytes / self.seconds if self.seconds > 0 else 0.0),
            f"{self.failed:,} failed",
            f"{self.left:,} left",
        )
        return f"summary: {', '.join(parts)}"
