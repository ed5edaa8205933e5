"""What a verification prints: lines for people, JSON for machines, or only the names of what may be deleted."""

from __future__ import annotations

import json
import os
import sys
from enum import Enum
from typing import NamedTuple, TextIO

from dfud.core.names import UNDECIDED
from dfud.core.text import escaped, printable
from dfud.core.version import FileVersion
from dfud.display.summary import Summary
from dfud.kafka.gaps import cause_text, gap_text
from dfud.messages import Gap, PartialVersion, ReaderDone

_JSON_LISTS = ("tables", "gaps", "incomplete_versions")  # after "files", in their order


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
    is_here: bool = True  # it is in the directory, too


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
        self._rows = self._faults = self._unread = self._topic_faults = 0
        self._absent = 0  # files that only the topic has
        self._manifest_id = ""  # of the run that is verified
        self._separator = "\n"  # before the next item of a JSON list
        self._n_json_lists = 0  # of `_JSON_LISTS`, that have begun
        if as_json:
            output.write('{"files": [')

    def add_file(self, verdict: FileVerdict) -> None:
        """Print the verdict on a local file, all of which come before the first row."""
        self._counts[verdict.status] += 1
        self._absent += not verdict.is_here
        if self._json:
            self._write_json_file(verdict)
        elif self._print0:
            if verdict.status is FileStatus.SAME and verdict.is_here:
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

    def add_undecided(self, path: bytes) -> None:
        """Report on standard error that it was not to be found out whether a file is to be verified."""
        self._unread += 1
        print(escaped(f"{printable(path)} is not verified: --upload_regex {UNDECIDED}"), file=sys.stderr)

    def add_row(self, verdict: RowVerdict) -> None:
        """Count a row of the tables, and print what is wrong with it."""
        self._rows += 1
        if not verdict.fault:
            return
        self._faults += 1
        if self._json:
            self._begin_json_list("tables")
            self._write_json_item({"path": os.fsdecode(verdict.path), "why": verdict.fault})
        else:
            self._write_line(f"{printable(verdict.path)} {verdict.fault}" if verdict.path else verdict.fault)

    def set_manifest(self, manifest_id: str) -> None:
        """Say in the sums which manifest the files are compared with."""
        self._manifest_id = manifest_id

    @staticmethod
    def add_note(text: str) -> None:
        """Print on standard error what may explain a verdict."""
        print(escaped(text), file=sys.stderr)

    def add_unsealed(self, run: bytes) -> None:
        """Report on standard error that there is no manifest, so that nothing is known of a run."""
        self._topic_faults += 1
        text = f"no complete manifest of run {printable(run) or '.'} is on the topic: it is not sealed, or not yet"
        print(escaped(text), file=sys.stderr)

    @property
    def is_faultless(self) -> bool:
        """Whether all files so far are the same, and nothing else was reported."""
        counts = self._counts
        is_whole = counts[FileStatus.SAME] == sum(counts.values())
        return is_whole and not (self._faults + self._unread + self._topic_faults)

    def add_gap(self, gap: Gap) -> None:
        """Report messages that cannot be read; all gaps come after the last row."""
        self._topic_faults += 1
        if self._json:
            self._begin_json_list("gaps")
            self._write_json_item(
                {"partition": gap.partition, "first": gap.first, "last": gap.last, "reason": cause_text(gap)}
            )
        else:
            self._write_line(gap_text(gap))

    def add_replaced(self, topic: str) -> None:
        """Report on standard error that what was read is not all of one topic."""
        self._topic_faults += 1
        text = f"topic {topic} was deleted, and perhaps made anew, while it was read: verify again"
        print(escaped(text), file=sys.stderr)

    def add_incomplete(self, partial: PartialVersion, chunks_missing: str) -> None:
        """Report a version that is incomplete on the topic, and is not that of a local file; the last to come."""
        self._topic_faults += 1
        if self._json:
            self._begin_json_list("incomplete_versions")
            self._write_json_item(
                {"path": os.fsdecode(partial.path), "size": partial.size, "mtime_ns": partial.mtime_ns,
                 "chunks_missing": chunks_missing}
            )  # fmt: skip
        else:
            which = f"chunks {chunks_missing}" if chunks_missing else "some of its chunks"
            self._write_line(f"incomplete on the topic: {printable(partial.path)}; {which} are missing")

    def finish(self, totals: ReaderDone, n_corrupt: int = 0, seconds: float = 0.0) -> bool:
        """Print the sums; return whether the topic has all files, and all that is recorded, intact.

        All of it took so many `seconds`. `n_corrupt` versions that were sent last do not have their digest; they
        have been named.
        """
        counts = self._counts
        is_proved = self.is_faultless and not n_corrupt + totals.dropped
        if self._json:
            for name in _JSON_LISTS:
                self._begin_json_list(name)
            sums: dict[str, object] = {
                **{status.value: number for status, number in counts.items()},
                "rows": self._rows, "rows_wrong": self._faults, "messages": totals.messages,
                "messages_refused": totals.refused, "folders_unread": self._unread, "versions_corrupt": n_corrupt,
                "versions_unchecked": totals.dropped,
                "proved": is_proved,
            }  # fmt: skip
            if self._manifest_id:
                sums = {**sums, "manifest": self._manifest_id, "absent": self._absent}
            self._output.write(f'\n], "summary": {json.dumps(sums)}}}\n')
        else:
            n_files = sum(counts.values())
            failed = n_files - counts[FileStatus.SAME]
            self._write_line(Summary(n_files, None, totals.bytes, seconds, failed, self._unread).line())
            files = ", ".join(f"{number} {status.value}" for status, number in counts.items())
            if self._manifest_id:
                self._write_line(f"{files}; not in the directory: {self._absent}; manifest {self._manifest_id}")
            else:
                self._write_line(
                    f"{files}; recorded uploads on the topic: {self._rows - self._faults} of {self._rows}"
                )
        self._output.flush()
        return is_proved

    def _write_line(self, line: str) -> None:
        print(escaped(line), file=sys.stderr if self._print0 else self._output)

    def _begin_json_list(self, name: str) -> None:
        """Begin the list with this name, and the empty ones before it, unless it has begun."""
        while self._n_json_lists <= _JSON_LISTS.index(name):
            self._output.write(f'\n], "{_JSON_LISTS[self._n_json_lists]}": [')
            self._n_json_lists += 1
            self._separator = "\n"

    def _write_json_item(self, fields: dict[str, object]) -> None:
        self._output.write(self._separator + json.dumps(fields))
        self._separator = ",\n"
