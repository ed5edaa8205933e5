"""What a release prints: lines for people, JSON for machines, or only the names of the files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from dfud.core.text import counted, escaped, printable
from dfud.display.summary import Summary
from dfud.releasing.candidates import Candidate

GOES, STAYS, FAILED = "goes", "stays", "failed"


class Report(Protocol):
    """Tells the user what a release does."""

    files: int  # that have gone, or would go
    bytes: int
    failed: int  # files that should have gone, and could not

    def warn(self, text: str) -> None:
        """Tell what the user has to know."""

    def note(self, text: str) -> None:
        """Tell what the user may want to know."""

    def add_gone(self, candidate: Candidate, receivers: Sequence[str]) -> None:
        """Take a file that goes."""

    def add_kept(self, candidate: Candidate, reason: str, is_failure: bool) -> None:
        """Take a file that stays, and of which all receivers have receipts; a failure if it could not go."""


class PrintedReport:
    """Prints what happens to each file at once; only sums are kept."""

    def __init__(self, output: TextIO, as_json: bool, print0: bool, listed: str) -> None:
        """Print to `output`; `listed` begins the line of each file that goes, "" for no such lines."""
        self._output = output
        self._json = as_json
        self._print0 = print0
        self._listed = listed
        self._separator = "\n"
        self.files = self.bytes = self.failed = 0
        self._kept = 0
        if as_json:
            output.write('{"files": [')

    def warn(self, text: str) -> None:
        """Print what the user has to know."""
        print(escaped(f"dfud: {text}"), file=sys.stderr)

    note = warn

    def add_gone(self, candidate: Candidate, receivers: Sequence[str]) -> None:
        """Print a file that goes."""
        path, size, _ = candidate.file.version
        self.files += 1
        self.bytes += size
        if self._json:
            self._write_json(candidate, GOES, receivers=sorted(receivers))
        elif self._print0:
            self._output.buffer.write(path + b"\0")
        elif self._listed:
            self._write_line(f"{self._listed}: {printable(path)}")

    def add_kept(self, candidate: Candidate, reason: str, is_failure: bool) -> None:
        """Print why a file stays of which all receivers have receipts; as a failure if it could not go."""
        self.failed += is_failure
        self._kept += not is_failure
        if self._json:
            self._write_json(candidate, FAILED if is_failure else STAYS, why=reason)
        else:
            self._write_line(
                f"{FAILED if is_failure else STAYS}: {printable(candidate.file.version.path)}: {reason}"
            )

    def finish(self, stay: Mapping[str, int], lacking: Mapping[str, int], seconds: float) -> None:
        """Print how many files stay, by why; how many receipts of each receiver are missing; and the sums."""
        left = sum(stay.values()) + self._kept
        summary = Summary(self.files, None, self.bytes, seconds, self.failed, left)
        if self._json:
            sums = {
                "files": self.files, "bytes": self.bytes, "failed": self.failed, "left": left,
                "seconds": round(seconds, 3),
            }  # fmt: skip
            self._output.write(
                f'\n], "stay": {json.dumps(dict(stay))}, "lacking": {json.dumps(dict(lacking))}, '
                f'"summary": {json.dumps(sums)}}}\n'
            )
        else:
            for reason, number in sorted(stay.items()):
                self._write_line(f"{counted(number, 'file')} {'stays' if number == 1 else 'stay'}: {reason}")
            for name, number in lacking.items():
                self._write_line(f"{counted(number, 'receipt')} missing of {name}")
            self._write_line(summary.line())
        self._output.flush()

    def _write_line(self, line: str) -> None:
        print(escaped(line), file=sys.stderr if self._print0 else self._output)

    def _write_json(self, candidate: Candidate, status: str, **more: object) -> None:
        path, size, mtime_ns = candidate.file.version
        fields = {
            "path": os.fsdecode(path), "size": size, "mtime_ns": mtime_ns, "xxh3_128": candidate.digest.hex(),
            "status": status, **more,
        }  # fmt: skip
        self._output.write(self._separator + json.dumps(fields))
        self._separator = ",\n"
