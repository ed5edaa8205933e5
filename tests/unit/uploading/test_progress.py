"""When acknowledged chunks are reported."""

from __future__ import annotations

from collections.abc import Sequence

from dfud.messages import ChunksAcked
from dfud.uploading.progress import ProgressReporter
from tests.helpers.producing import make_upload


def test_chunks_are_reported_half_a_second_after_the_first_one() -> None:
    sent: list[Sequence[ChunksAcked]] = []
    progress = ProgressReporter(sent.append)
    assert progress.due_at is None
    one, other = make_upload(1), make_upload(2)
    progress.add(one, 1, 1, now=10.0)
    progress.add(one, 2, 2, now=10.3)
    progress.add(other, 3, 3, now=10.4)
    assert progress.due_at == 10.5
    progress.report_due(now=10.4)
    assert sent == []
    progress.report_due(now=10.5)
    assert sent == [[ChunksAcked(1, ((1, 2),)), ChunksAcked(2, ((3, 3),))]]
    assert progress.due_at is None


def test_no_chunk_is_reported_twice() -> None:
    sent: list[Sequence[ChunksAcked]] = []
    progress = ProgressReporter(sent.append)
    upload = make_upload(1)
    progress.add(upload, 1, 1, now=10.0)
    progress.report()
    progress.add(upload, 2, 2, now=20.0)
    assert progress.due_at == 20.5
    progress.report()
    assert sent == [[ChunksAcked(1, ((1, 1),))], [ChunksAcked(1, ((2, 2),))]]


def test_a_file_that_is_complete_meanwhile_is_left_out() -> None:
    sent: list[Sequence[ChunksAcked]] = []
    progress = ProgressReporter(sent.append)
    upload = make_upload(1)
    progress.add(upload, 1, 1, now=10.0)
    upload.unreported = None
    progress.report()
    assert [report for batch in sent for report in batch] == []
