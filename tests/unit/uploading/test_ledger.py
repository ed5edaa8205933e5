"""Examples of what the ledger answers; `test_protocol` drives it through all combinations."""

from __future__ import annotations

import time

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import in_progress_row, version_of
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion, path_key
from dfud.messages import FileTask
from dfud.uploading.entry import State
from dfud.uploading.ledger import Ledger
from tests.helpers.recorded import record, recorded_versions
from tests.unit.uploading.test_protocol import check_books

V1, V2, V3 = (FileVersion(b"file", 10, number) for number in (1, 2, 3))
NOW = 100.0


def make(known: dict[FileVersion, bytes] | None = None, lanes: int = 2) -> Ledger:
    return Ledger(4, lanes, recorded_versions(known), lambda: "then")


def sent(ledger: Ledger) -> list[tuple[int, FileTask]]:
    found = list(ledger.dispatch())
    check_books(ledger, len(ledger._entries.loads.unread))
    return found


def send(ledger: Ledger) -> FileTask:
    ((_, task),) = sent(ledger)
    return task


def test_a_file_goes_its_way() -> None:
    ledger = make()
    entry = ledger.on_found(V1, compare=True)
    assert entry is not None
    task = send(ledger)
    assert task == FileTask(entry.token, V1, 4, ((1, 3),), "then", "")
    ledger.on_acked(task.token, ((1, 2),))
    ledger.mark_read(task.token)
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet([(1, 2)]), "then")]
    assert ledger.progress() == (1, 0, 3, 2)
    assert ledger.on_completed(task.token) is entry
    assert (ledger.open_files, ledger.rows()) == (0, [])
    check_books(ledger, 2)


def test_a_file_whose_chunks_are_refused_begins_again_in_smaller_ones() -> None:
    ledger = make()
    ledger.resume(in_progress_row(V1, 5, RangeSet([(1, 1)]), "before"), V1)
    task = send(ledger)
    assert (task.chunk_size, task.to_send) == (5, ((2, 2),))
    assert ledger.send_smaller(task.token) is not None
    smaller = send(ledger)
    assert (smaller.chunk_size, smaller.to_send, smaller.started) == (4, ((1, 3),), "before")
    ledger.on_acked(task.token, ((2, 2),))  # what the lane still had of it counts for nothing
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet(), "before")]
    assert ledger.send_smaller(smaller.token) is None
    assert ledger.on_undelivered(smaller.token, "too large") is not None


def test_a_file_that_is_known_is_taken_by_an_event_alone_and_compared() -> None:
    ledger = make({V1: b"\xab" * 16})
    assert ledger.on_found(V1, compare=False) is None
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    assert (task.known_digest, task.to_send) == ("ab" * 16, ())
    assert ledger.rows() == []
    ledger.on_unchanged(task.token)
    assert not ledger.open_files


def test_a_file_that_was_closed_again_while_it_was_compared_is_compared_again() -> None:
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V1, compare=True)
    first = send(ledger)
    ledger.on_found(V1, compare=True)
    ledger.on_unchanged(first.token)
    assert send(ledger).known_digest


def test_a_file_that_failed_while_it_was_read_has_left_its_lane_once() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    assert ledger.on_undelivered(task.token, "refused") is not None
    assert ledger.on_undelivered(task.token, "refused") is None
    ledger.mark_read(task.token)  # its chunker does not know that
    check_books(ledger, 2)
    assert ledger.on_read_error(task.token, False, "EIO", NOW) is None
    ledger.on_changed(task.token, V2, True, NOW)
    check_books(ledger, 2)
    assert (ledger.open_files, len(ledger.undelivered)) == (0, 1)


@pytest.mark.parametrize("how", ["undelivered", "held", "given up while it waits", "given up, then undelivered"])
def test_a_file_that_ended_badly_is_taken_as_new_when_it_is_closed_again(how: str) -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    first = 1 if how == "given up while it waits" else send(ledger).token
    ledger.on_acked(first, ((1, 1),))
    if how == "held":
        ledger.on_changed(first, V2, True, NOW)
    if how.startswith("given up"):
        assert len(ledger.give_up("away")) == 1
    if how.endswith("undelivered"):
        ledger.on_undelivered(first, "refused")
    assert ledger.on_found(V1, compare=False) is None
    assert sent(ledger) == []
    ledger.on_found(V1, compare=True)
    again = send(ledger)
    assert again.token != first, "what is still reported about the first would be counted for the second"
    assert again.to_send == ((1, 3),)


def given_up_with_a_lane() -> tuple[Ledger, int]:
    """Return a ledger that has given up a file whose first chunk is acknowledged, and the file's token."""
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.on_acked(token, ((1, 1),))
    ledger.mark_read(token)
    (entry,) = ledger.give_up("away")
    assert (entry.state, entry.failure) == (State.GIVEN_UP, "away")
    assert (ledger.open_files, ledger.undelivered, ledger.progress().failed) == (0, [entry], 1)
    check_books(ledger, 2)
    return ledger, token


def test_a_file_that_was_given_up_and_is_closed_again_is_not_sent_twice_at_a_time() -> None:
    """Its old content lies with a lane and would be recorded, and end up on the topic, after the new one."""
    ledger, token = given_up_with_a_lane()
    assert ledger.rows()[0].chunks_to_send == "2-3"
    assert ledger.on_found(V1, compare=True) is None  # rewritten within a tick of the clock
    assert sent(ledger) == []
    ledger.on_acked(token, ((2, 2),))
    assert ledger.rows()[0].chunks_to_send == "1-3", "the next run must not mix old chunks with new ones"
    assert ledger.open_files == 0, "the run need not wait for the lane"


def test_a_file_that_was_given_up_closed_again_and_completed_after_all_is_compared() -> None:
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.give_up("away")
    ledger.on_found(V1, compare=True)
    record(known, V1, b"\xab" * 16)
    assert ledger.on_completed(token) is not None
    assert send(ledger).known_digest == "ab" * 16


@pytest.mark.parametrize("end", ["completed", "undelivered", "unreadable", "changed", "chunker", "producer"])
def test_a_version_that_follows_one_that_was_given_up_waits_for_the_end_of_that(end: str) -> None:
    ledger, token = given_up_with_a_lane()
    lane = ledger._entries.with_lane[V1.path].lane
    ledger.on_found(V2, compare=True)
    assert sent(ledger) == []
    assert (ledger.open_files, ledger.undelivered) == (1, [])
    assert [row.mtime_ns for row in ledger.rows()] == [V2.mtime_ns]
    if end == "completed":
        ledger.on_completed(token)
    elif end == "undelivered":
        assert ledger.on_undelivered(token, "refused") is None
    elif end == "unreadable":
        assert ledger.on_read_error(token, False, "EIO", NOW) is None
    elif end == "changed":
        assert ledger.on_changed(token, V2, False, NOW) is None
    else:
        ledger._entries.by_token[token].is_read = end == "producer"
        ledger._entries.loads.unread[lane][0] += end == "chunker"
        assert ledger.on_lane_death(lane, end == "producer") == 1
    assert send(ledger).version == V2
    assert ledger.entry(token) is None


@pytest.mark.parametrize("end", ["undelivered", "unreadable", "gone", "producer"])
def test_a_file_that_was_given_up_has_failed_once_its_lane_has_ended_it(end: str) -> None:
    ledger, token = given_up_with_a_lane()
    if end == "undelivered":
        assert ledger.on_undelivered(token, "refused") is None, "it was reported as given up"
    elif end == "producer":
        ledger.on_lane_death(ledger._entries.with_lane[V1.path].lane, True)
    else:
        assert ledger.on_read_error(token, end == "gone", "EIO", NOW) is None
    (entry,) = ledger.undelivered
    assert (entry.state, entry.failure) == (State.FAILED, "away")
    assert (ledger.open_files, ledger.rows()[0].chunks_to_send) == (0, "2-3")
    check_books(ledger, 2)


def test_a_file_that_changed_after_it_was_given_up_is_sent_in_its_new_version() -> None:
    ledger, token = given_up_with_a_lane()
    assert ledger.on_changed(token, V2, False, NOW) is not None
    ledger.resume_paused(NOW + 1)
    assert send(ledger).version == V2


@pytest.mark.parametrize("end", ["unchanged", "rewritten", "changed", "unreadable", "chunker", "producer"])
def test_a_version_that_is_given_up_behind_one_that_is_only_compared_is_kept(end: str) -> None:
    """Comparing goes on without a broker; whatever comes of it, the row of the newer version stays."""
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    assert task.known_digest
    ledger.on_found(V2, compare=True)
    (entry,) = ledger.give_up("away")
    assert (entry.version, entry.state) == (V2, State.FAILED)
    check_books(ledger, 2)
    assert ledger.open_files == 1
    if end == "unchanged":
        ledger.on_unchanged(task.token)
    elif end == "rewritten":
        assert ledger.on_changed(task.token, V1, False, NOW) is None
    elif end == "changed":
        assert ledger.on_changed(task.token, V2, False, NOW) is None
    elif end == "unreadable":
        ledger.on_read_error(task.token, False, "EIO", NOW)
    else:
        ledger.on_lane_death(0, end == "producer")
    assert sent(ledger) == []
    assert ledger.undelivered == [entry]
    assert (ledger.open_files, [row.mtime_ns for row in ledger.rows()]) == (0, [V2.mtime_ns])
    ledger.on_found(V2, compare=True)
    assert send(ledger).version == V2


def test_what_was_acknowledged_of_a_file_that_is_closed_again_while_it_is_sent_is_not_kept_for_the_next_run() -> (
    None
):
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.on_acked(token, ((1, 1),))
    ledger.changed = False
    ledger.on_found(V1, compare=True)
    assert ledger.changed
    assert ledger.rows()[0].chunks_to_send == "1-3"
    ledger.on_undelivered(token, "refused")
    assert ledger.rows()[0].chunks_to_send == "1-3"


def test_a_file_whose_chunker_died_returns_to_its_lane_under_its_token_and_is_sent_anew_if_closed_again() -> None:
    """Its producer may have all of it, and complete it before the second reading does."""
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.on_found(V1, compare=True)
    ((lane, first),) = sent(ledger)
    ledger.on_found(FileVersion(b"other", 2 << 20, 1), compare=True)
    sent(ledger)
    ledger.on_lane_death(lane, producer=False)
    ledger.on_found(V1, compare=True)
    ((again, second),) = sent(ledger)
    assert (again, second.token) == (lane, first.token)
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(first.token)
    third = send(ledger)
    assert (third.known_digest, third.to_send) == ("", ((1, 3),))


@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_is_mixed_is_sent_as_a_whole_when_it_is_closed_again(late: bool) -> None:
    """One part stems from an earlier reading: the digest of the present content says nothing about it."""
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), V1)
    task = send(ledger)
    assert task.to_send == ((2, 3),)
    if not late:
        ledger.on_found(V1, compare=True)
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(task.token)
    if late:
        assert sent(ledger) == []
        assert ledger.on_found(V1, compare=False) is None
        ledger.on_found(V1, compare=True)
    again = send(ledger)
    assert (again.known_digest, again.to_send) == ("", ((1, 3),))
    ledger.on_completed(again.token)
    ledger.on_found(V1, compare=True)
    assert send(ledger).known_digest, "it was read as a whole: now the digest is that of all its chunks"


@pytest.mark.parametrize("ctime_ns", [5, 10**9], ids=["fine", "whole seconds"])
@pytest.mark.parametrize("when", ["waiting", "sent", "completed"])
def test_a_report_of_a_resumed_file_with_its_stamp_is_no_news(ctime_ns: int, when: str) -> None:
    """It has not been written since chunks of it were sent, unless its file system's clock is a coarse one."""
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    stamp = FileStamp(ctime_ns, 1)
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before", stamp), V1, stamp)
    if when == "waiting":
        ledger.on_found(V1, True, stamp)
    ((_, task),) = sent(ledger)
    if when == "sent":
        ledger.on_found(V1, True, stamp)
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(task.token)
    if when == "completed":
        ledger.on_found(V1, True, stamp)
    again = [task, *(task for _, task in sent(ledger) if not task.known_digest)]
    is_sent_whole = [task.to_send == ((1, 3),) for task in again]
    assert any(is_sent_whole) is (ctime_ns == 10**9)


@pytest.mark.parametrize("when", ["waiting", "sent", "completed"])
def test_a_report_of_a_resumed_file_with_another_stamp_is_news(when: str) -> None:
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    stamp, later = FileStamp(5, 1), FileStamp(6, 1)
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before", stamp), V1, stamp)
    if when == "waiting":
        ledger.on_found(V1, True, later)
    ((_, task),) = sent(ledger)
    if when == "sent":
        ledger.on_found(V1, True, later)
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(task.token)
    if when == "completed":
        ledger.on_found(V1, True, later)
        assert send(ledger).known_digest, "all chunks are of one content, whose digest is recorded"
    elif when == "sent":
        assert send(ledger).to_send == ((1, 3),)
    else:
        assert task.to_send == ((1, 3),)


def test_a_version_is_sent_again_that_returns_while_a_lane_has_a_later_one() -> None:
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    record(known, V1, b"\xab" * 16)
    ledger.on_found(V2, compare=True)
    assert send(ledger).version == V2
    ledger.on_found(V3, compare=True)
    ledger.give_up("the broker is away")  # the lane may complete V2 after all
    entry = ledger.on_found(V1, compare=True)
    assert entry is not None
    assert not entry.known_digest, "it would only be compared with what V2 replaces"


@pytest.mark.parametrize("lane_dies", [False, True])
def test_what_follows_a_file_that_was_with_a_lane_goes_to_the_same_one(lane_dies: bool) -> None:
    """What is left of the earlier one in the producer reaches the topic first."""
    ledger = make()
    ledger.on_found(V1, compare=True)
    ((lane, task),) = sent(ledger)
    ledger.on_changed(task.token, V2, True, NOW)  # held
    ledger.on_found(FileVersion(b"other", 2 << 20, 1), compare=True)
    assert [lane for lane, _ in sent(ledger)] == [lane]
    if lane_dies:
        ledger.on_lane_death(lane, producer=True)
        assert [lane for lane, _ in sent(ledger)] == [lane]
    ledger.on_found(V2, compare=True)
    ((other, _),) = sent(ledger)
    assert (other == lane) is not lane_dies, "only what is pinned goes to the lane that has more to do"


def test_what_was_acknowledged_of_a_file_that_is_closed_again_before_it_is_read_does_not_count() -> None:
    ledger = make()
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), V1)
    ledger.on_found(V1, compare=True)
    assert send(ledger).to_send == ((1, 3),)


def test_a_file_whose_writer_closed_it_before_the_reader_was_heard_is_not_held() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    ledger.on_found(V1, compare=True)  # rewritten, and its times set back
    successor = ledger.on_changed(task.token, V2, True, NOW)
    assert successor is not None
    ledger.resume_paused(NOW + 1)
    assert send(ledger).version == V1


def test_versions_of_a_file_are_with_a_lane_one_after_another() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    first = send(ledger)
    ledger.on_found(V2, compare=True)
    assert sent(ledger) == []
    ledger.on_found(V3, compare=True)
    assert ledger.open_files == 2, "V2, which no lane has begun, must be forgotten"
    assert sent(ledger) == []
    ledger.on_completed(first.token)
    assert send(ledger).version == V3


def test_a_file_that_is_replaced_while_it_is_read_is_read_less_and_less_often() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    now, reads = NOW, 0
    for number in range(2, 12_000, 2):  # every 10 ms for a minute
        now += 0.01
        ledger.on_found(V1._replace(mtime_ns=number), compare=True)
        ledger.resume_paused(now)
        for _, task in list(ledger.dispatch()):
            reads += 1
            newer = V1._replace(mtime_ns=number + 1)
            ledger.on_found(newer, compare=True)
            ledger.on_changed(task.token, newer, False, now)
    assert reads < 12
    assert ledger.open_files == 1
    check_books(ledger, 2)
    assert ledger.fail_paused() == []
    task = send(ledger)
    ledger.on_changed(task.token, V1._replace(mtime_ns=number + 2), False, now)
    assert len(ledger.fail_paused()) == 1


def test_a_file_that_no_longer_changes_at_the_end_is_sent() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    for number in (2, 3):
        ledger.on_changed(send(ledger).token, V1._replace(mtime_ns=number), False, NOW)
        if ledger.next_resumption is not None and number == 2:
            ledger.resume_paused(ledger.next_resumption)
    assert ledger.fail_paused() == []
    token = send(ledger).token
    assert ledger.fail_paused() == [], "it is being sent"
    ledger.mark_read(token)
    ledger.on_completed(token)
    assert (ledger.open_files, ledger.undelivered) == (0, [])
    check_books(ledger, 2)


def test_the_first_change_does_not_wait_once_the_file_is_closed() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    ledger.on_changed(send(ledger).token, V2, False, NOW)
    assert sent(ledger) == []
    ledger.on_found(V2, compare=True)
    assert send(ledger).version == V2


def test_a_file_that_cannot_be_read_is_reported_once_and_tried_less_and_less_often() -> None:
    ledger, now, pauses = make(), NOW, []
    ledger.on_found(V1, compare=True)
    for attempt in range(8):
        task = send(ledger)
        news = ledger.on_read_error(task.token, False, "EIO", now)
        assert (news is not None) == (attempt == 0)
        if news is not None:
            news.named = "EIO"
        assert ledger.next_resumption is not None
        pauses.append(ledger.next_resumption - now)
        ledger.resume_paused(ledger.next_resumption - 0.001)
        assert sent(ledger) == []
        now = ledger.next_resumption
        ledger.resume_paused(now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_file_that_is_gone_is_forgotten_unless_it_was_sent_in_part() -> None:
    for acked in (False, True):
        ledger = make()
        ledger.on_found(V1, compare=True)
        task = send(ledger)
        if acked:
            ledger.on_acked(task.token, ((1, 1),))
        assert ledger.on_read_error(task.token, True, "gone", NOW) is not None
        assert len(ledger.undelivered) == len(ledger.rows()) == acked
        assert not ledger.open_files


@pytest.mark.parametrize("producer", [False, True])
def test_a_dead_workers_files_are_begun_again_in_their_order(producer: bool) -> None:
    ledger = make(lanes=1)
    for name in (b"a", b"b", b"c", b"d"):
        ledger.on_found(FileVersion(name, 10, 1), compare=True)
    tasks = [task for _, task in sent(ledger)]
    ledger.mark_read(tasks[0].token)
    ledger.on_acked(tasks[1].token, ((2, 2),))
    assert ledger.on_lane_death(0, producer) == 3 + producer
    again = [task for _, task in sent(ledger)]
    assert [task.token for task in again] == [task.token for task in tasks][not producer :]
    assert again[int(producer)].to_send == ((1, 1), (3, 3))


def test_a_file_that_is_compared_goes_on_when_the_broker_is_given_up() -> None:
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    assert ledger.give_up("away") == []
    assert ledger.on_changed(task.token, V1, False, NOW) is not None
    assert send(ledger).to_send == ((1, 3),)


def test_a_file_that_is_twice_in_the_table_has_what_either_row_says() -> None:
    ledger = make()
    for first in (1, 3):
        ledger.resume(in_progress_row(V1, 4, RangeSet([(first, first)]), "before"), V1)
    assert (send(ledger).to_send, ledger.open_files) == (((2, 2),), 1)

    ledger = make()
    for chunk_size in (5, 4):
        ledger.resume(
            in_progress_row(V1, chunk_size, RangeSet([(2, 2) if chunk_size == 5 else (1, 1)]), "before"), V1
        )
    task = send(ledger)
    assert (task.chunk_size, task.to_send) == (4, ((2, 3),)), "chunks of another size are other bytes"

    ledger = make()
    for first in (1, 3):
        ledger.keep_failed(in_progress_row(V1, 4, RangeSet([(first, first)]), "before"), "gone")
    (row,) = ledger.rows()
    assert (row.chunks_to_send, ledger.open_files) == ("2", 0)
    check_books(ledger, 2)


def test_large_files_do_not_stand_in_the_way_of_small_ones() -> None:
    ledger = make(lanes=1)
    for number in range(20):
        ledger.on_found(FileVersion(b"large %d" % number, 1 << 30, 1), compare=True)
    ledger.on_found(V1, compare=True)
    versions = [task.version for _, task in sent(ledger)]
    assert V1 in versions
    assert 1 < len(versions) < 20


def test_large_files_go_to_the_lane_that_has_least_to_do() -> None:
    ledger = make()
    for number, size in enumerate((9, 1, 2, 3, 1)):
        ledger.on_found(FileVersion(b"%d" % number, size << 21, 1), compare=True)
    assert [lane for lane, _ in sent(ledger)] == [0, 1, 1, 1, 1]


def test_a_turn_costs_the_same_however_many_files_are_paused() -> None:
    costs = []
    for files in (500, 20_000):
        ledger = make(lanes=1)
        for number in range(files):
            ledger.on_found(FileVersion(b"%d" % number, 1, 1), compare=True)
        for _ in range(files // 200):
            for _, task in list(ledger.dispatch()):
                ledger.on_read_error(task.token, False, "EIO", NOW)
        assert sum(entry.state is State.PAUSED for entry in ledger._entries) == files
        began = time.process_time()
        for _ in range(2000):
            ledger.resume_paused(NOW)
            assert ledger.next_resumption == NOW + 1
            assert ledger.busy_files == 0
        costs.append(time.process_time() - began)
    assert costs[1] < 10 * costs[0] + 0.01


@pytest.mark.parametrize("compare", [False, True])
def test_a_file_that_was_gone_and_is_back_is_tried_again(compare: bool) -> None:
    """Its folder was moved out and in again: the event comes before the report that the file is gone."""
    ledger = make()
    ledger.on_found(V1, compare=False)
    task = send(ledger)
    assert ledger.on_found(V1, compare) is None
    assert ledger.on_read_error(task.token, True, "gone", NOW) is None
    ledger.resume_paused(NOW + 10)
    again = send(ledger)
    assert again.version == V1
    assert ledger.on_read_error(again.token, True, "gone", NOW + 10) is not None
    assert ledger.open_files == 0


def test_whether_a_version_is_recorded_is_asked_of_the_completed_table() -> None:
    ledger = make({V1: b"\xab" * 16})
    assert ledger.is_recorded(V1)
    assert not ledger.is_recorded(V2)


def test_an_entry_is_found_by_its_token_until_it_is_forgotten() -> None:
    ledger = make()
    entry = ledger.on_found(V1, compare=True)
    assert entry is not None
    assert ledger.entry(entry.token) is entry
    assert ledger.entry(entry.token + 1) is None
    ledger.on_completed(send(ledger).token)
    assert ledger.entry(entry.token) is None


@pytest.mark.parametrize("end", ["kept", "refused", "gone", "held", "given up", "unreadable", "changing"])
def test_a_file_that_is_not_delivered_says_why(end: str) -> None:
    ledger = make()
    if end == "kept":
        ledger.keep_failed(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), "kept")
    else:
        ledger.on_found(V1, compare=True)
    if end == "given up":
        (given_up,) = ledger.give_up("given up")
        assert given_up.state is State.FAILED
    elif end == "refused":
        ledger.on_undelivered(send(ledger).token, "refused")
    elif end == "gone":
        token = send(ledger).token
        ledger.on_acked(token, ((1, 1),))
        ledger.on_read_error(token, True, "gone", NOW)
    elif end == "held":
        ledger.on_changed(send(ledger).token, V2, True, NOW)
    elif end in ("unreadable", "changing"):
        for attempt in (1, 2, 3) if end == "changing" else (1, 2):
            token = send(ledger).token
            if end == "unreadable":
                ledger.on_read_error(token, False, "unreadable", NOW)
            else:
                ledger.on_changed(token, V1._replace(mtime_ns=attempt), False, NOW)
            if attempt == 1:
                assert ledger.fail_paused() == [], "there is another try"
                if end == "unreadable":
                    assert ledger.next_resumption is None, "at once"
                else:
                    assert ledger.next_resumption is not None
                    ledger.resume_paused(ledger.next_resumption)
            elif attempt == 2 and end == "changing":
                assert ledger.fail_paused() == [], "it is tried a last time"
        assert [entry.state for entry in ledger.fail_paused()] == [State.FAILED]
    reasons = {"held": "it is still being written", "changing": "it keeps changing while it is read"}
    assert [entry.failure for entry in ledger.undelivered] == [reasons.get(end, end)]
    check_books(ledger, 2)


def test_the_reason_of_the_last_failed_attempt_is_kept_when_all_is_given_up() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    ledger.on_read_error(send(ledger).token, False, "EIO", NOW)
    assert [entry.failure for entry in ledger.give_up("away")] == ["EIO"]


def test_an_acknowledgement_changes_the_rows() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.changed = False
    ledger.on_acked(token, ((1, 1),))
    assert ledger.changed is True
    ledger.changed = False
    ledger.on_acked(token + 1, ((1, 1),))  # that file has ended
    assert ledger.changed is False


def test_an_earlier_version_that_is_undelivered_makes_way_for_the_newer_one() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.on_found(V2, compare=True)
    assert ledger.on_undelivered(token, "refused") is None
    assert ledger.entry(token) is None
    assert send(ledger).version == V2
    assert ledger.undelivered == []


@pytest.mark.parametrize("acked", [False, True])
def test_a_file_whose_producer_died_is_mixed_if_chunks_of_it_are_on_the_topic(acked: bool) -> None:
    known = recorded_versions()
    ledger = Ledger(4, 1, known, lambda: "then")
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    if acked:
        ledger.on_acked(task.token, ((1, 1),))
    ledger.on_lane_death(0, producer=True)
    again = send(ledger)
    assert again.to_send == (((2, 3),) if acked else ((1, 3),))
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(again.token)
    ledger.on_found(V1, compare=True)
    assert send(ledger).known_digest == ("" if acked else "ab" * 16), "the digest is that of the second reading"


@pytest.mark.parametrize("compared", [False, True])
def test_a_file_that_is_closed_again_while_it_is_paused_has_a_new_token_and_all_else_of_before(
    compared: bool,
) -> None:
    known = recorded_versions({V1: b"\xab" * 16} if compared else {})
    ledger = Ledger(4, 2, known, iter(("then", "later")).__next__)
    ledger.on_found(V1, compare=True)
    ((lane, first),) = sent(ledger)
    unreadable = ledger.on_read_error(first.token, False, "EIO", NOW)
    assert unreadable is not None
    unreadable.named = "EIO"
    ledger.on_found(V1, compare=True)  # without waiting for the end of the pause
    ((again, second),) = sent(ledger)
    assert again == lane
    assert second.token != first.token
    assert second == FileTask(second.token, V1, 4, first.to_send, "then", "ab" * 16 if compared else "")
    assert ledger.on_read_error(second.token, False, "EIO", NOW) is None, "it was reported already"
    assert ledger.next_resumption == NOW + 2


def test_the_time_of_a_row_is_that_of_its_detection_or_that_of_the_earlier_run() -> None:
    other = FileVersion(b"other", 10, 1)
    ledger = Ledger(4, 2, recorded_versions(), iter(("first", "second")).__next__, lambda: "then")
    ledger.on_found(V1, compare=True)
    ledger.on_changed(send(ledger).token, V2, False, NOW)
    ledger.resume(in_progress_row(other, 4, RangeSet([(1, 1)]), "before"), other)
    assert [row.started for row in ledger.rows()] == ["second", "before"]


def test_a_chunker_that_has_many_small_files_to_read_still_gets_a_large_one() -> None:
    ledger = make(lanes=1)
    for number in range(1100):
        ledger.on_found(FileVersion(b"%d" % number, 1, 1), compare=True)
    ledger.on_found(FileVersion(b"large", 1 << 30, 1), compare=True)
    tasks = [task for _, task in sent(ledger)]
    assert len(tasks) == 1024 + 1
    assert tasks[-1].version.path == b"large"


def test_a_file_that_changed_while_it_was_read_returns_to_its_lane() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    ((lane, task),) = sent(ledger)
    ledger.on_changed(task.token, V2, False, NOW)
    ledger.on_found(FileVersion(b"other", 1000, 1), compare=True)
    assert [lane for lane, _ in sent(ledger)] == [lane], "it is the one with the least to do"
    ledger.resume_paused(NOW + 1)
    assert [lane for lane, _ in sent(ledger)] == [lane]


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("version", [V1, V2])
def test_a_file_that_changed_is_read_after_a_pause_but_at_once_if_only_its_content_differs(
    compared: bool, version: FileVersion
) -> None:
    ledger = make({V1: b"\xab" * 16} if compared else None)
    ledger.on_found(V1, compare=True)
    assert ledger.on_changed(send(ledger).token, version, False, NOW) is not None
    at_once = compared and version == V1
    assert ledger.next_resumption == (None if at_once else NOW + 1)
    assert len(sent(ledger)) == at_once


def test_a_file_that_was_superseded_at_two_attempts_waits_as_long_as_one_that_failed_twice() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    for number in (2, 3):
        task = send(ledger)
        ledger.on_found(V1._replace(mtime_ns=number), compare=True)
        assert ledger.on_changed(task.token, V1._replace(mtime_ns=number), False, NOW) is None
    assert sent(ledger) == []
    assert ledger.next_resumption == NOW + 2
    assert ledger.fail_paused() == []
    assert [entry.attempts for entry in ledger._entries.latest.values()] == [2]


def test_a_file_that_is_held_has_a_row_although_it_was_only_compared() -> None:
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V1, compare=True)
    ledger.on_changed(send(ledger).token, V2, True, NOW)
    (entry,) = ledger.undelivered
    assert (entry.state, entry.known_digest) == (State.HELD, "")
    assert [row.mtime_ns for row in ledger.rows()] == [V1.mtime_ns]


def test_a_rewritten_file_that_failed_is_sent_and_not_compared_with_what_it_was_before() -> None:
    """The completed table has its version: it was rewritten within a tick of the file system's clock."""
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V1, compare=True)
    ledger.on_changed(send(ledger).token, V1, False, NOW)
    ledger.on_undelivered(send(ledger).token, "refused")
    ledger.on_found(V1, compare=True)
    task = send(ledger)
    assert (task.known_digest, task.to_send) == ("", ((1, 3),))


def paused(ledger: Ledger, attempts: int) -> float:
    """Detect V1, let it fail `attempts` times, and return when its pause ends."""
    ledger.on_found(V1, compare=True)
    now = NOW
    for attempt in range(attempts):
        ledger.resume_paused(now)
        ledger.on_read_error(send(ledger).token, False, "EIO", now)
        now += 2**attempt
        assert ledger.next_resumption == now
    return now


@pytest.mark.parametrize("version", [V1, V2], ids=["the same", "a newer version"])
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_file_that_is_closed_ends_its_first_pause_and_no_later_one(attempts: int, version: FileVersion) -> None:
    ledger = make()
    until = paused(ledger, attempts)
    ledger.on_found(version, compare=True)
    assert ledger.next_resumption == (None if attempts == 1 else until)
    assert len(sent(ledger)) == (attempts == 1)
    ledger.resume_paused(until)
    assert [task.version for _, task in sent(ledger)] == [version][attempts == 1 :]


def test_a_newer_version_of_a_file_whose_pause_has_ended_is_not_paused() -> None:
    ledger = make()
    ledger.resume_paused(paused(ledger, attempts=2))
    ledger.on_found(V2, compare=True)
    assert ledger.next_resumption is None
    assert send(ledger).version == V2


OLD, NEW = FileStamp(7, 42), FileStamp(8, 42)


def test_a_report_of_another_stamp_makes_what_was_delivered_void() -> None:
    """The chunks may be of the earlier content: neither this run nor the next may count them."""
    ledger = make()
    ledger.on_found(V1, False, OLD)
    task = send(ledger)
    ledger.on_acked(task.token, ((1, 2),))
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet([(1, 2)]), "then", OLD)]
    assert ledger.on_found(V1, False, NEW) is None
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet(), "then", NEW)]
    ledger.on_lane_death(0, producer=True)
    assert send(ledger).to_send == ((1, 3),)


def test_a_report_of_the_same_stamp_changes_nothing() -> None:
    ledger = make()
    ledger.on_found(V1, False, OLD)
    task = send(ledger)
    ledger.on_acked(task.token, ((1, 2),))
    ledger.changed = False
    ledger.on_found(V1, False, OLD)
    ledger.on_found(V1, False, UNKNOWN_STAMP)
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet([(1, 2)]), "then", OLD)]
    ledger.on_lane_death(0, producer=True)
    again = send(ledger)
    assert (again.to_send, again.stamp) == (((3, 3),), OLD)


def test_a_file_that_is_reported_with_another_stamp_after_it_was_read_is_compared() -> None:
    known = recorded_versions()
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.on_found(V1, False, OLD)
    task = send(ledger)
    ledger.on_found(V1, False, NEW)
    record(known, V1, b"\xab" * 16)
    ledger.on_completed(task.token)
    again = send(ledger)
    assert (again.known_digest, again.to_send) == ("ab" * 16, ())
    ledger.on_changed(again.token, V1, False, NOW, NEW)
    whole = send(ledger)
    assert (whole.known_digest, whole.to_send) == ("", ((1, 3),))
    assert ledger.rows() == [in_progress_row(V1, 4, RangeSet(), "then", NEW)]


def test_a_file_whose_stamp_changed_before_the_rest_was_read_is_sent_whole() -> None:
    ledger = make()
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 2)]), "before", OLD), V1, OLD)
    task = send(ledger)
    assert (task.to_send, task.stamp) == (((3, 3),), OLD)
    ledger.on_changed(task.token, V1, False, NOW, NEW)
    ledger.resume_paused(NOW + 1)
    whole = send(ledger)
    assert (whole.to_send, whole.stamp) == (((1, 3),), NEW)


def test_a_lease_is_waited_for_until_the_kernel_ends_it() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    for second in range(9):
        assert ledger.on_read_error(token, False, "leased", NOW + second, lease_s=9) is None
        assert ledger.fail_paused() == [], "the end waits for it as well"
        assert (ledger.open_files, ledger.busy_files) == (1, 0)
        assert ledger.next_resumption == NOW + second + 1
        ledger.resume_paused(NOW + second + 1)
        assert send(ledger).token == token
    entry = ledger.on_read_error(token, False, "leased", NOW + 9, lease_s=9)
    assert entry is not None
    assert ledger.fail_paused() == [entry], "it was tried all the time"
    assert entry.failure == "leased"


def test_a_lease_that_ends_is_no_failure() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    token = send(ledger).token
    ledger.on_read_error(token, False, "leased", NOW, lease_s=9)
    ledger.resume_paused(NOW + 1)
    assert send(ledger).token == token
    assert ledger.on_completed(token) is not None
    assert ledger.undelivered == []


def test_files_that_cannot_be_read_take_no_room() -> None:
    ledger = make()
    for number in range(5_100):
        ledger.on_found(FileVersion(b"%d" % number, 1, 1), compare=True)
    while tasks := sent(ledger):
        for _, task in tasks:
            ledger.on_read_error(task.token, False, "EACCES", NOW)
    assert (ledger.open_files, ledger.busy_files) == (5_100, 0)
    ledger.on_found(V1, compare=True)
    assert send(ledger).version == V1


def test_at_the_end_each_file_that_cannot_be_read_is_tried_once_more_and_failed() -> None:
    ledger = make()
    for number in range(5_100):
        ledger.on_found(FileVersion(b"%d" % number, 1, 1), compare=True)
    n_reads = 0
    while ledger.open_files:
        for _, task in sent(ledger):
            n_reads += 1
            ledger.on_read_error(task.token, False, "EACCES", NOW)
        ledger.fail_paused()
    assert n_reads == 2 * 5_100
    assert [entry.failure for entry in ledger.undelivered] == ["EACCES"] * 5_100


X, BELOW = FileVersion(b"x", 10, 1), FileVersion(b"x/y/z", 10, 1)


@pytest.mark.parametrize(("first", "second"), [(X, BELOW), (BELOW, X)], ids=["file first", "folder first"])
def test_a_file_and_what_is_below_its_path_are_with_a_lane_one_after_the_other(
    first: FileVersion, second: FileVersion
) -> None:
    known = recorded_versions({second: b"\xab" * 16})
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.on_found(first, compare=True)
    task = send(ledger)
    assert ledger.replaces_recorded, "its row must be written before it is read"
    assert ledger.unrecorded(second.identity(), path_key(b"x") + path_key(b"x/y")) == [0]
    ledger.on_found(second, compare=False)
    assert sent(ledger) == []
    record(known, first)
    ledger.on_completed(task.token)
    again = send(ledger)
    assert (again.version, again.known_digest) == (second, "")


@pytest.mark.parametrize(("first", "second"), [(X, BELOW), (BELOW, X)], ids=["file first", "folder first"])
@pytest.mark.parametrize("state", ["waiting", "paused", "failed"])
def test_readers_drop_what_was_sent_of_a_file_whose_rival_is_sent(
    first: FileVersion, second: FileVersion, state: str
) -> None:
    ledger = make(lanes=1)
    if state == "waiting":  # of an earlier run
        row = in_progress_row(first, 4, RangeSet([(1, 1)]), "then", OLD)
        token = ledger.resume(row, first, OLD).token
        ledger.on_written([row])
        ledger.on_found(second, compare=True)
        ledger._entries.wait(ledger._entries.by_token[token])  # after the other
    else:
        ledger.on_found(first, compare=True, stamp=OLD)
        token = send(ledger).token
        ledger.on_acked(token, ((1, 1),))
        ledger.on_written(ledger.rows())
        ledger.on_read_error(token, state == "failed", "why", NOW)
        ledger.on_found(second, compare=True)
    other = send(ledger)
    assert other.version == second
    assert ledger.replaces_recorded, "no later run may send only the rest"
    (row,) = [row for row in ledger.rows() if version_of(row) == first]
    assert row.chunks_to_send == "1-3"
    ledger.on_acked(token, ((2, 2),))  # it was on its way
    assert row in ledger.rows()
    ledger.on_completed(other.token)
    if state == "failed":
        ledger.on_found(first, compare=True, stamp=OLD)
    ledger.resume_paused(NOW + 60)
    assert send(ledger).to_send == ((1, 3),)


def test_a_version_is_not_read_while_the_table_calls_chunks_of_another_delivered() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True, stamp=OLD)
    task = send(ledger)
    ledger.on_acked(task.token, ((1, 2),))
    ledger.on_written(ledger.rows())
    ledger.on_lane_death(0, producer=True)
    assert send(ledger).to_send == ((3, 3),)
    assert not ledger.replaces_recorded, "the row is that of what is sent"
    ledger.on_changed(task.token, V2, False, NOW)
    ledger.resume_paused(NOW + 60)
    send(ledger)
    assert ledger.replaces_recorded
    ledger.replaces_recorded = False
    ledger.on_written(ledger.rows())
    ledger.on_found(V3._replace(path=b"other"), compare=True)
    send(ledger)
    assert not ledger.replaces_recorded


def test_an_earlier_version_that_comes_back_while_a_later_one_is_on_its_way_is_sent() -> None:
    known = recorded_versions({V1: b"\xab" * 16})
    ledger = Ledger(4, 2, known, lambda: "then")
    ledger.on_found(V2, compare=True)
    later = send(ledger)
    assert ledger.unrecorded(V1.identity(), b"") == [0]
    ledger.on_found(V1, compare=False)
    record(known, V2)
    ledger.on_completed(later.token)
    task = send(ledger)
    assert (task.version, task.known_digest) == (V1, "")


# Files about which only the chunker asks who writes to them


def test_a_file_that_is_in_use_is_taken_back_until_it_is_reported_again() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True, is_asked=False)
    task = send(ledger)
    assert not task.is_asked
    assert ledger.take_back(task.token) is not None
    assert (ledger.open_files, ledger.rows(), ledger.undelivered) == (0, [], [])
    check_books(ledger, 2)
    ledger.on_found(V2, compare=True)
    assert send(ledger).is_asked


def test_what_a_file_in_use_would_have_replaced_goes_on_to_count() -> None:
    """A log, say, that is always open, beside its last version."""
    ledger = make({V1: b"\xab" * 16})
    ledger.on_found(V2, compare=True, is_asked=False)
    assert ledger.take_back(send(ledger).token) is not None
    assert ledger.is_recorded(V1)
    ledger.on_found(V2, compare=True, is_asked=False)
    send(ledger)
    ledger.on_lane_death(0, producer=True)
    ledger.on_lane_death(1, producer=True)
    assert ledger.take_back(send(ledger).token) is not None  # the dead producer may have sent it
    assert not ledger.is_recorded(V1)


def test_a_file_that_is_in_use_and_that_was_asked_about_is_not_taken_back() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True)
    assert ledger.take_back(send(ledger).token) is None
    assert ledger.take_back(4711) is None


@pytest.mark.parametrize("version", [V1, V2], ids=["the same", "another version"])
def test_a_file_that_was_in_use_and_is_reported_meanwhile_is_not_taken_back(version: FileVersion) -> None:
    ledger = make()
    ledger.on_found(V1, compare=True, is_asked=False)
    task = send(ledger)
    ledger.on_found(version, compare=True)
    assert ledger.take_back(task.token) is None
    ledger.on_changed(task.token, V2, True, NOW)
    ledger.resume_paused(NOW + 50)
    assert send(ledger).version == version


def test_a_file_that_changes_before_it_is_asked_about_is_not_asked_about_yet() -> None:
    ledger = make()
    ledger.on_found(V1, compare=True, is_asked=False)
    ledger.on_changed(send(ledger).token, V2, False, NOW)
    ledger.resume_paused(NOW + 50)
    assert not send(ledger).is_asked


def test_of_a_file_of_which_an_earlier_run_has_sent_nothing_nobody_may_have_asked() -> None:
    for sent_before, is_asked in ((RangeSet(), False), (RangeSet([(1, 1)]), True)):
        ledger = make()
        ledger.resume(in_progress_row(V1, 4, sent_before, "before"), V1)
        task = send(ledger)
        assert task.is_asked is is_asked
        entry = ledger.entry(task.token)
        assert entry is not None
        assert not entry.is_found
