"""What a verification puts out: lines for people, JSON for machines, or just the names of what may be deleted."""

from __future__ import annotations

import json
import os
import sys
from typing import NamedTuple, TextIO

from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.messages import ReaderDone

THE_SAME, DIFFERENT, MISSING, INCOMPLETE = "same", "differs", "missing", "incomplete"


class FileVerdict(NamedTuple):
    """What a file in the directory is to the topic."""

    version: FileVersion
    status: str
    chunks_missing: str = ""  # ranges, for one that is incomplete
    why: str = ""


class Report:
    """Puts out each verdict as it comes; nothing is kept but sums."""

    def __init__(self, output: TextIO, as_json: bool, print0: bool) -> None:
        self._output = output
        self._json = as_json
        self._print0 = print0
        self._counts = dict.fromkeys((THE_SAME, DIFFERENT, MISSING, INCOMPLETE), 0)
        self._rows = self._faults = 0
        self._first = True
        if as_json:
            output.write('{"files": [')

    def file(self, verdict: FileVerdict) -> None:
        """Tell of a file in the directory."""
        self._counts[verdict.status] += 1
        path, size, mtime_ns = verdict.version
        if self._json:
            fields: dict[str, object] = {
                "path": os.fsdecode(path), "size": size, "mtime_ns": mtime_ns, "status": verdict.status,
            }  # fmt: skip
            if verdict.chunks_missing:
                fields["chunks_missing"] = verdict.chunks_missing
            if verdict.why:
                fields["why"] = verdict.why
            self._item(fields)
        elif self._print0:
            if verdict.status == THE_SAME:
                self._output.flush()
                self._output.buffer.write(path + b"\0")
        elif verdict.status != THE_SAME:
            more = f"; chunks {verdict.chunks_missing} are missing" if verdict.chunks_missing else ""
            self._output.write(
                f"{verdict.status}: {printable(path)}{more}{'; ' + verdict.why if verdict.why else ''}\n"
            )

    def row(self, why: str, path: bytes) -> None:
        """Tell of a row of the tables; `why` is empty for one that is right."""
        self._rows += 1
        if not why:
            return
        if self._json and not self._faults:
            self._output.write('\n], "tables": [')
            self._first = True
        self._faults += 1
        if self._json:
            self._item({"path": os.fsdecode(path), "why": why})
        else:
            print(f"{printable(path)} {why}" if path else why, file=sys.stderr if self._print0 else self._output)

    def finish(self, read: ReaderDone, has_tables: bool) -> bool:
        """Put out the sums; tell whether all that should be on the topic is there and right."""
        counts = self._counts
        unsure = counts[DIFFERENT] + counts[MISSING] + counts[INCOMPLETE]
        good = not self._faults and (has_tables or not unsure)
        if self._json:
            if not self._faults:
                self._output.write('\n], "tables": [')
            sums = {
                **counts, "rows": self._rows, "rows_wrong": self._faults, "messages": read.messages,
                "messages_refused": read.refused, "proved": good,
            }  # fmt: skip
            self._output.write(f'\n], "summary": {json.dumps(sums)}}}\n')
        else:
            text = ", ".join(f"{number} {what}" for what, number in counts.items())
            line = f"{text}; {self._rows - self._faults} of {self._rows} uploads in the tables are on the topic"
            print(line, file=sys.stderr if self._print0 else self._output)
        self._output.flush()
        return good

    def _item(self, fields: dict[str, object]) -> None:
        self._output.write(("\n" if self._first else ",\n") + json.dumps(fields))
        self._first = False
