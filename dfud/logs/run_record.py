"""What a run leaves in its lock file for the next one, as text.

The first line is the time since which files may be in no table. The second line has a fixed length as well, so
that one write within a sector replaces both. Below are paths, one per line, percent-encoded. Older versions wrote
only the first line and the paths, and left the file empty at an orderly end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

EVERYTHING = 0  # a time before all files
_TIME = b"%024d"  # a fixed number of digits, so that one time overwrites another completely
_TIMES = re.compile(rb"ended=(-?\d{23,}) compared=(-?\d{23,}) missed=(-?\d{23,}),(-?\d{23,})")


class RunRecord(NamedTuple):
    """How far the last run got; all times are ns since 1970, by the file system's clock."""

    since_ns: int  # what has changed since then may be in no table
    ended_ns: int = 0  # when the run ended in an orderly way; 0 if it did not, or has not yet
    # Recorded files that have changed since then may have other content of the same size and mtime; 0 if unknown.
    compare_since_ns: int = 0
    missed: tuple[int, int] = (
        0,
        0,
    )  # files that changed in this time, before `since_ns`, may be in no table either

    @property
    def is_ended(self) -> bool:
        """Whether the run ended in an orderly way."""
        return self.ended_ns != 0


def format_record(record: RunRecord, paths: Iterable[bytes]) -> bytes:
    """Return the text of a record and its paths."""
    times = (record.ended_ns, record.compare_since_ns, *record.missed)
    return b"%s\nended=%s compared=%s missed=%s,%s\n" % (
        _TIME % record.since_ns,
        *(_TIME % time for time in times),
    ) + b"".join(map(format_path, paths))


def format_path(path: bytes) -> bytes:
    """Return the line of one path: a single one, whatever bytes it has."""
    return quote_from_bytes(path).encode() + b"\n"


def parse_record(text: bytes) -> tuple[RunRecord | None, list[bytes]]:
    """Return a record and its paths, as far as a power cut has left them; None if nothing is unfinished."""
    first, _, rest = text.partition(b"\n")
    if not first.strip():
        return None, []
    complete, _, _ = rest.rpartition(b"\n")  # a power cut may have left a line without its end
    lines = complete.split(b"\n") if complete else []
    times = _TIMES.fullmatch(lines[0]) if lines else None
    paths = [unquote_to_bytes(line) for line in lines[1 if times else 0 :]]
    try:
        since_ns = int(first)
    except ValueError:  # truncated by a power cut: the run did begin
        return RunRecord(EVERYTHING), paths
    if times is None:
        return RunRecord(since_ns), paths
    ended_ns, compare_since_ns, missed_from, missed_to = map(int, times.groups())
    return RunRecord(since_ns, ended_ns, compare_since_ns, (missed_from, missed_to)), paths
