"""Which scanned files are recorded: what is asked, and what is done with the answers."""

from __future__ import annotations

import os
from pathlib import Path

from dfud.core.version import FileVersion
from dfud.files.scan import ScannedFile
from dfud.messages import FilesScanned, FilesUnrecorded, FromWatcher
from dfud.watch.inquiry import Inquiry
from dfud.watch.once import OnceSource
from tests.helpers.watching import WatchParts


def scanned(number: int) -> ScannedFile:
    """Return a file of that number."""
    return ScannedFile(FileVersion(b"%d" % number, 1, 1), 1, number, 1)


def questions(sent: list[FromWatcher]) -> list[FilesScanned]:
    """Return what was asked."""
    return [message for message in sent if isinstance(message, FilesScanned)]


def test_what_is_not_recorded_comes_back() -> None:
    sent: list[FromWatcher] = []
    inquiry = Inquiry(sent.extend)
    assert inquiry.is_done
    for number in range(5):
        inquiry.add(scanned(number))
    inquiry.flush()
    inquiry.flush()
    (question,) = questions(sent)
    assert question.identities == b"".join(scanned(number).version.identity() for number in range(5))
    assert not inquiry.has_answers
    inquiry.on_answer(FilesUnrecorded(question.number, (1, 4)))
    assert inquiry.has_answers
    assert [inquiry.pop(), inquiry.pop(), inquiry.pop()] == [scanned(1), scanned(4), None]
    assert inquiry.is_done


def test_an_answer_to_another_watcher_changes_nothing() -> None:
    sent: list[FromWatcher] = []
    inquiry = Inquiry(sent.extend)
    inquiry.add(scanned(0))
    inquiry.flush()
    (question,) = questions(sent)
    inquiry.on_answer(FilesUnrecorded(question.number + 1, (0,)))
    assert (inquiry.pop(), inquiry.is_done) == (None, False)
    inquiry.on_answer(FilesUnrecorded(question.number, ()))
    assert (inquiry.pop(), inquiry.is_done) == (None, True)


def test_a_scan_does_not_run_far_ahead_of_the_answers() -> None:
    sent: list[FromWatcher] = []
    inquiry = Inquiry(sent.extend)
    number = 0
    while not inquiry.is_full:
        inquiry.add(scanned(number))
        number += 1
    assert number < 100_000
    for question in questions(sent):
        inquiry.on_answer(FilesUnrecorded(question.number, (0,)))
    assert not inquiry.is_full


def test_recorded_files_are_not_looked_at(tmp_path: Path) -> None:
    for name in ("new", "recorded"):
        (tmp_path / name).write_bytes(b"x")
    parts = WatchParts(tmp_path, has_recorded=True)
    assert parts.inquiry is not None
    source = OnceSource(parts.tree, parts.inspector, parts.before, compare_since_ns=2**62)
    with open(tmp_path / "recorded", "ab"):  # it would be left if it were looked at
        assert parts.ready_paths(source) == []
        parts.inquiry.flush()
        (question,) = questions(parts.sent)
        new = FileVersion(b"new", 1, (tmp_path / "new").stat().st_mtime_ns).identity()
        assert not parts.inspector.is_settled
        assert parts.inspector.timeout(parts.now) is None
        parts.inquiry.on_answer(FilesUnrecorded(question.number, (question.identities.index(new) // 16,)))
        assert parts.inspector.timeout(parts.now) == 0.0
        assert parts.ready_paths(source) == ["new"]
    assert parts.inspector.is_settled
    assert parts.inspector.pop_left() == []


def test_what_changed_lately_is_looked_at_without_asking(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    parts = WatchParts(tmp_path, has_recorded=True)
    source = OnceSource(parts.tree, parts.inspector, parts.before, compare_since_ns=1)
    (file,) = parts.ready(source)
    assert file.compare
    assert questions(parts.sent) == []


def test_a_file_that_changes_before_the_answer_is_reported_as_it_is_then(tmp_path: Path) -> None:
    (tmp_path / "grown").write_bytes(b"x")
    (tmp_path / "gone").write_bytes(b"x")
    parts = WatchParts(tmp_path, has_recorded=True)
    assert parts.inquiry is not None
    source = OnceSource(parts.tree, parts.inspector, parts.before, compare_since_ns=2**62)
    assert parts.ready_paths(source) == []
    parts.inquiry.flush()
    (tmp_path / "grown").write_bytes(b"more")
    (tmp_path / "gone").unlink()
    (question,) = questions(parts.sent)
    parts.inquiry.on_answer(FilesUnrecorded(question.number, (0, 1)))
    (file,) = parts.ready(source)
    assert file.version == (b"grown", 4, os.stat(tmp_path / "grown").st_mtime_ns)
