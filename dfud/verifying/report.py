"""What a verification prints: lines for people, JSON for machines, or only the names of what may be deleted."""

from __future__ import annotations

import json
import os
import sys
from enum import Enum
from typing import NamedTuple, TextIO

from dfud.core.text import escaped, printable
from dfud.core.version import FileVersion
from dfud.messages import ReaderDone


class FileStatus(str, Enum):
    """How a local file compares with the topic; the values are what is printed."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"
    INCOMPLETE = "incomplete"


class FileVerdict(NamedTuple):
    """The result for one local file."""

    version: FileVersion
    status: FileStatus
    chunks_missing: str = ""  # ranges, for a file that is incomplete on the topic
    reason: str = ""


class RowVerdict(NamedTuple):
    """The result for one row of the completed tables."""

    path: bytes  # of the file; b"" if the row could not be read
    fault: str  # to be printed after the path; "" if the topic has what the row records


class Report:
    """Prints each verdict at once; only sums are kept."""

    def __init__(self, output: TextIO, as_json: bool, print0: bool) -> None:
        """Print to `output`: JSON, only names that end in NUL, or (both false) lines."""
        self._output = output
        self._json = as_json
        self._print0 = print0
        self._counts = dict.fromkeys(FileStatus, 0)
        self._rows = self._faults = self._unread = 0
        self._separator = "\n"  # before the next item of a JSON list
        if as_json:
            output.write('{"files": [')

    def add_file(self, verdict: FileVerdict) -> None:
        """Print the verdict on a local file, all of which come before the first row."""
        self._counts[verdict.status] += 1
        if self._json:
            self._write_json_file(verdict)
        elif self._print0:
            if verdict.status is FileStatus.SAME:
                self._output.buffer.write(verdict.version.path + b"\0")
        elif verdict.status is not FileStatus.SAME:
            missing = f"; chunks {verdict.chunks_missing} are missing" if verdict.chunks_missing else ""
            reason = f"; {verdict.reason}" if verdict.reason else ""
            self._write_line(f"{verdict.status.value}: {printable(verdict.version.path)}{missing}{reason}")

    def _write_json_file(self, verdict: FileVerdict) -> None:
        path, size, mtime_ns = verdict.version
        fields: dict[str, object] = {
            "path": os.fsdecode(path), "size": size, "mtime_ns": mtime_ns, "status": verdict.status.value,
        }  # fmt: skip
        if verdict.chunks_missing:
            fields["chunks_missing"] = verdict.chunks_missing
        if verdict.reason:
            fields["why"] = verdict.reason
        self._write_json_item(fields)

    def add_unread(self, folder: bytes) -> None:
        """Report on standard error that a folder could not be read, so that nothing is known of its files."""
        self._unread += 1
        name = printable(folder) or "the directory itself"
        print(escaped(f"cannot read the folder {name}: its files are not verified"), file=sys.stderr)

    def add_row(self, verdict: RowVerdict) -> None:
        """Count a row of the tables, and print what is wrong with it."""
        self._rows += 1
        if not verdict.fault:
            return
        self._faults += 1
        if self._json:
            if self._faults == 1:
                self._begin_json_tables()
            self._write_json_item({"path": os.fsdecode(verdict.path), "why": verdict.fault})
        else:
            self._write_line(f"{printable(verdict.path)} {verdict.fault}" if verdict.path else verdict.fault)

    def finish(self, totals: ReaderDone, has_tables: bool) -> bool:
        """Print the sums; return whether everything that should be on the topic is there and intact.

        With tables, that is what they record as uploaded; without, every local file.
        """
        counts = self._counts
        is_whole = has_tables or counts[FileStatus.SAME] == sum(counts.values())
        is_proved = is_whole and not self._faults and not self._unread
        if self._json:
            if not self._faults:
                self._begin_json_tables()
            sums = {
                **{status.value: number for status, number in counts.items()},
                "rows": self._rows, "rows_wrong": self._faults, "messages": totals.messages,
                "messages_refused": totals.refused, "folders_unread": self._unread, "proved": is_proved,
            }  # fmt: skip
            self._output.write(f'\n], "summary": {json.dumps(sums)}}}\n')
        else:
            files = ", ".join(f"{number} {status.value}" for status, number in counts.items())
            self._write_line(
                f"{files}; recorded uploads on the topic: {self._rows - self._faults} of {self._rows}"
            )
        self._output.flush()
        return is_proved

    def _write_line(self, line: str) -> None:
        print(escaped(line), file=sys.stderr if self._print0 else self._output)

    def _begin_json_tables(self) -> None:
        self._output.write('\n], "tables": [')
        self._separator = "\n"

    def _write_json_item(self, fields: dict[str, object]) -> None:
        self._output.write(self._separator + json.dumps(fields))
        self._separator = ",\n"
