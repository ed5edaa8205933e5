"""What the log of an upload is told of a release: what the user has to know, and no more."""

from __future__ import annotations

import logging

from dfud.core.version import FileVersion
from dfud.files.scan import ScannedFile
from dfud.releasing.background import LoggedReport
from dfud.releasing.candidates import Candidate
from dfud.releasing.decision import Evidence


def candidate(path: bytes) -> Candidate:
    return Candidate(ScannedFile(FileVersion(path, 10, 1), 2, 3, 4), bytes(16), Evidence.ROW)


def test_what_goes_is_counted_and_what_could_not_is_named_up_to_a_number() -> None:
    told: list[tuple[int, str]] = []
    report = LoggedReport(lambda level, text: told.append((level, text)))
    report.add_gone(candidate(b"a"), ["archive"])
    report.add_kept(candidate(b"b\x1b"), "it has changed just now", is_failure=False)
    for number in range(22):
        report.add_kept(candidate(b"%d" % number), "denied", is_failure=True)
    report.warn("warning: 1 row cannot be understood")
    report.finish({"being uploaded": 1}, {"archive\x1b": 2})
    assert (report.files, report.bytes, report.failed) == (1, 10, 22)
    warnings = [text for level, text in told if level == logging.WARNING]
    assert warnings[0] == "0: not released: denied"
    assert warnings[20:] == ["1 row cannot be understood", "2 more files could not be released"]
    others = [text for level, text in told if level == logging.DEBUG]
    assert others[0] == "b\\x1b: not released: it has changed just now"
    assert others[3:] == ["not released: 1 file being uploaded", "not released: 2 receipts missing of archive\x1b"]
