"""Examples of what the ledger answers; `test_protocol` drives it through all combinations."""

from __future__ import annotations

import time

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import in_progress_row
from dfud.core.version import FileVersion
from dfud.messages import FileTask
from dfud.uploading.entry import State
from dfud.uploading.ledger import Ledger
from tests.unit.uploading.test_protocol import check_books

V1, V2, V3 = (FileVersion(b"file", 10, number) for number in (1, 2, 3))
NOW = 100.0


def make(known: dict[bytes, bytes] | None = None, lanes: int = 2) -> Ledger:
    return Ledger(4, lanes, (known or {}).get, lambda: "then")


def sent(ledger: Ledger) -> list[tuple[int, FileTask]]:
    found = list(ledger.dispatch())
    check_books(ledger, len(ledger._entries.loads.unread))
    return found


def send(ledger: Ledger) -> FileTask:
    ((_, task),) = sent(ledger)
    return task


def test_a_file_goes_its_way() -> None:
    ledger = make()
    entry = ledger.on_found(V1, by_event=True)
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


def test_a_file_that_is_known_is_taken_by_an_event_alone_and_compared() -> None:
    ledger = make({V1.identity(): b"\xab" * 16})
    assert ledger.on_found(V1, by_event=False) is None
    ledger.on_found(V1, by_event=True)
    task = send(ledger)
    assert (task.known_digest, task.to_send) == ("ab" * 16, ())
    assert ledger.rows() == []
    ledger.on_unchanged(task.token)
    assert not ledger.open_files


def test_a_file_that_was_closed_again_while_it_was_compared_is_compared_again() -> None:
    ledger = make({V1.identity(): b"\xab" * 16})
    ledger.on_found(V1, by_event=True)
    first = send(ledger)
    ledger.on_found(V1, by_event=True)
    ledger.on_unchanged(first.token)
    assert send(ledger).known_digest


def test_a_file_that_failed_while_it_was_read_has_left_its_lane_once() -> None:
    ledger = make()
    ledger.on_found(V1, by_event=True)
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
    ledger.on_found(V1, by_event=True)
    first = 1 if how == "given up while it waits" else send(ledger).token
    ledger.on_acked(first, ((1, 1),))
    if how == "held":
        ledger.on_changed(first, V2, True, NOW)
    if how.startswith("given up"):
        assert len(ledger.give_up("away")) == 1
    if how.endswith("undelivered"):
        ledger.on_undelivered(first, "refused")
    assert ledger.on_found(V1, by_event=False) is None
    assert sent(ledger) == []
    ledger.on_found(V1, by_event=True)
    again = send(ledger)
    assert again.token != first, "what is still reported about the first would be counted for the second"
    assert again.to_send == ((1, 3),)


def given_up_with_a_lane() -> tuple[Ledger, int]:
    """Return a ledger that has given up a file whose first chunk is acknowledged, and the file's token."""
    ledger = make()
    ledger.on_found(V1, by_event=True)
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
    assert ledger.on_found(V1, by_event=True) is None  # rewritten within a tick of the clock
    assert sent(ledger) == []
    ledger.on_acked(token, ((2, 2),))
    assert ledger.rows()[0].chunks_to_send == "1-3", "the next run must not mix old chunks with new ones"
    assert ledger.open_files == 0, "the run need not wait for the lane"


def test_a_file_that_was_given_up_closed_again_and_completed_after_all_is_compared() -> None:
    known: dict[bytes, bytes] = {}
    ledger = Ledger(4, 2, known.get, lambda: "then")
    ledger.on_found(V1, by_event=True)
    token = send(ledger).token
    ledger.give_up("away")
    ledger.on_found(V1, by_event=True)
    known[V1.identity()] = b"\xab" * 16
    assert ledger.on_completed(token) is not None
    assert send(ledger).known_digest == "ab" * 16


@pytest.mark.parametrize("end", ["completed", "undelivered", "unreadable", "changed", "chunker", "producer"])
def test_a_version_that_follows_one_that_was_given_up_waits_for_the_end_of_that(end: str) -> None:
    ledger, token = given_up_with_a_lane()
    lane = ledger._entries.with_lane[V1.path].lane
    ledger.on_found(V2, by_event=True)
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
    ledger = make({V1.identity(): b"\xab" * 16})
    ledger.on_found(V1, by_event=True)
    task = send(ledger)
    assert task.known_digest
    ledger.on_found(V2, by_event=True)
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
    ledger.on_found(V2, by_event=True)
    assert send(ledger).version == V2


def test_what_was_acknowledged_of_a_file_that_is_closed_again_while_it_is_sent_is_not_kept_for_the_next_run() -> (
    None
):
    ledger = make()
    ledger.on_found(V1, by_event=True)
    token = send(ledger).token
    ledger.on_acked(token, ((1, 1),))
    ledger.changed = False
    ledger.on_found(V1, by_event=True)
    assert ledger.changed
    assert ledger.rows()[0].chunks_to_send == "1-3"
    ledger.on_undelivered(token, "refused")
    assert ledger.rows()[0].chunks_to_send == "1-3"


def test_a_file_whose_chunker_died_returns_to_its_lane_under_its_token_and_is_sent_anew_if_closed_again() -> None:
    """Its producer may have all of it, and complete it before the second reading does."""
    known: dict[bytes, bytes] = {}
    ledger = Ledger(4, 2, known.get, lambda: "then")
    ledger.on_found(V1, by_event=True)
    ((lane, first),) = sent(ledger)
    ledger.on_found(FileVersion(b"other", 1000, 1), by_event=True)
    sent(ledger)
    ledger.on_lane_death(lane, producer=False)
    ledger.on_found(V1, by_event=True)
    ((again, second),) = sent(ledger)
    assert (again, second.token) == (lane, first.token)
    known[V1.identity()] = b"\xab" * 16
    ledger.on_completed(first.token)
    third = send(ledger)
    assert (third.known_digest, third.to_send) == ("", ((1, 3),))


def test_a_file_that_is_mixed_is_sent_as_a_whole_when_it_is_closed_again() -> None:
    """One part stems from an earlier run: the digest of the present content says nothing about it."""
    known: dict[bytes, bytes] = {}
    ledger = Ledger(4, 2, known.get, lambda: "then")
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), V1)
    task = send(ledger)
    assert task.to_send == ((2, 3),)
    ledger.on_found(V1, by_event=True)
    known[V1.identity()] = b"\xab" * 16
    ledger.on_completed(task.token)
    again = send(ledger)
    assert (again.known_digest, again.to_send) == ("", ((1, 3),))


@pytest.mark.parametrize("lane_dies", [False, True])
def test_what_follows_a_file_that_was_with_a_lane_goes_to_the_same_one(lane_dies: bool) -> None:
    """What is left of the earlier one in the producer reaches the topic first."""
    ledger = make()
    ledger.on_found(V1, by_event=True)
    ((lane, task),) = sent(ledger)
    ledger.on_changed(task.token, V2, True, NOW)  # held
    ledger.on_found(FileVersion(b"other", 1000, 1), by_event=True)
    assert [lane for lane, _ in sent(ledger)] == [lane]
    if lane_dies:
        ledger.on_lane_death(lane, producer=True)
        assert [lane for lane, _ in sent(ledger)] == [lane]
    ledger.on_found(V2, by_event=True)
    ((other, _),) = sent(ledger)
    assert (other == lane) is not lane_dies, "only what is pinned goes to the lane that has more to do"


def test_what_was_acknowledged_of_a_file_that_is_closed_again_before_it_is_read_does_not_count() -> None:
    ledger = make()
    ledger.resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), V1)
    ledger.on_found(V1, by_event=True)
    assert send(ledger).to_send == ((1, 3),)


def test_a_file_whose_writer_closed_it_before_the_reader_was_heard_is_not_held() -> None:
    ledger = make()
    ledger.on_found(V1, by_event=True)
    task = send(ledger)
    ledger.on_found(V1, by_event=True)  # rewritten, and its times set back
    successor = ledger.on_changed(task.token, V2, True, NOW)
    assert successor is not None
    ledger.resume_paused(NOW + 1)
    assert send(ledger).version == V1


def test_versions_of_a_file_are_with_a_lane_one_after_another() -> None:
    ledger = make()
    ledger.on_found(V1, by_event=True)
    first = send(ledger)
    ledger.on_found(V2, by_event=True)
    assert sent(ledger) == []
    ledger.on_found(V3, by_event=True)
    assert ledger.open_files == 2, "V2, which no lane has begun, must be forgotten"
    assert sent(ledger) == []
    ledger.on_completed(first.token)
    assert send(ledger).version == V3


def test_a_file_that_is_replaced_while_it_is_read_is_read_less_and_less_often() -> None:
    ledger = make()
    ledger.on_found(V1, by_event=True)
    now, reads = NOW, 0
    for number in range(2, 12_000, 2):  # every 10 ms for a minute
        now += 0.01
        ledger.on_found(V1._replace(mtime_ns=number), by_event=True)
        ledger.resume_paused(now)
        for _, task in list(ledger.dispatch()):
            reads += 1
            newer = V1._replace(mtime_ns=number + 1)
            ledger.on_found(newer, by_event=True)
            ledger.on_changed(task.token, newer, False, now)
    assert reads < 12
    assert ledger.open_files == 1
    check_books(ledger, 2)
    assert len(ledger.fail_paused()) == 1


def test_the_first_change_does_not_wait_once_the_file_is_closed() -> None:
    ledger = make()
    ledger.on_found(V1, by_event=True)
    ledger.on_changed(send(ledger).token, V2, False, NOW)
    assert sent(ledger) == []
    ledger.on_found(V2, by_event=True)
    assert send(ledger).version == V2


def test_a_file_that_cannot_be_read_is_reported_once_and_tried_less_and_less_often() -> None:
    ledger, now, pauses = make(), NOW, []
    ledger.on_found(V1, by_event=True)
    for attempt in range(8):
        task = send(ledger)
        news = ledger.on_read_error(task.token, False, "EIO", now)
        assert (news is not None) == (attempt == 0)
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
        ledger.on_found(V1, by_event=True)
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
        ledger.on_found(FileVersion(name, 10, 1), by_event=True)
    tasks = [task for _, task in sent(ledger)]
    ledger.mark_read(tasks[0].token)
    ledger.on_acked(tasks[1].token, ((2, 2),))
    assert ledger.on_lane_death(0, producer) == 3 + producer
    again = [task for _, task in sent(ledger)]
    assert [task.token for task in again] == [task.token for task in tasks][not producer :]
    assert again[int(producer)].to_send == ((1, 1), (3, 3))


def test_a_file_that_is_compared_goes_on_when_the_broker_is_given_up() -> None:
    ledger = make({V1.identity(): b"\xab" * 16})
    ledger.on_found(V1, by_event=True)
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
        ledger.on_found(FileVersion(b"large %d" % number, 1 << 30, 1), by_event=True)
    ledger.on_found(V1, by_event=True)
    versions = [task.version for _, task in sent(ledger)]
    assert V1 in versions
    assert 1 < len(versions) < 20


def test_files_go_to_the_lane_that_has_least_to_do() -> None:
    ledger = make()
    for number, size in enumerate((9, 1, 2, 3, 1)):
        ledger.on_found(FileVersion(b"%d" % number, size, 1), by_event=True)
    assert [lane for lane, _ in sent(ledger)] == [0, 1, 1, 1, 1]


def test_a_turn_costs_the_same_however_many_files_are_paused() -> None:
    costs = []
    for files in (500, 20_000):
        ledger = make(lanes=1)
        for number in range(files):
            ledger.on_found(FileVersion(b"%d" % number, 1, 1), by_event=True)
        for _ in range(files // 200):
            for _, task in list(ledger.dispatch()):
                ledger.on_read_error(task.token, False, "EIO", NOW)
        assert sum(entry.state is State.PAUSED for entry in ledger._entries) == files
        began = time.process_time()
        for _ in range(2000):
            ledger.resume_paused(NOW)
            assert ledger.next_resumption == NOW + 1
            assert ledger.fail_paused() == []
        costs.append(time.process_time() - began)
    assert costs[1] < 10 * costs[0] + 0.01


@pytest.mark.parametrize("by_event", [False, True])
def test_a_file_that_was_gone_and_is_back_is_tried_again(by_event: bool) -> None:
    """Its folder was moved out and in again: the event comes before the report that the file is gone."""
    ledger = make()
    ledger.on_found(V1, by_event=False)
    task = send(ledger)
    assert ledger.on_found(V1, by_event) is None
    assert ledger.on_read_error(task.token, True, "gone", NOW) is None
    ledger.resume_paused(NOW + 10)
    again = send(ledger)
    assert again.version == V1
    assert ledger.on_read_error(again.token, True, "gone", NOW + 10) is not None
    assert ledger.open_files == 0
