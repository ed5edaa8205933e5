"""The loop of a producer, between the supervisor, the chunker and librdkafka."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import msgspec
import pytest

from dfud.messages import (
    ChunksAcked,
    Drain,
    FileDropped,
    FilesCompleted,
    RunReady,
    SpaceAbandoned,
    SpaceFreed,
    Stop,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.uploading.producer import wait_readable
from tests.helpers.producing import TIMED_OUT, ProducerHarness, digest, events

MakeHarness = Callable[..., ProducerHarness]


def test_a_file_is_complete_when_all_is_acknowledged_and_its_row_on_disk(harness: ProducerHarness) -> None:
    data = bytes(range(25))
    assert events(harness.step(*harness.file(1, data))) == []
    assert harness.producer.sent == [("1/3", data[:10]), ("2/3", data[10:20]), ("3/3", data[20:])]
    assert harness.ring.used == 0
    assert events(harness.step()) == []  # acknowledged now; rows are written a second later
    assert harness.table() == ""
    assert events(harness.step(seconds=1.1)) == [FilesCompleted(((1, digest(data)),), True)]
    assert f"file1,25,1,3,10,{digest(data)},then," in harness.table()


def test_progress_is_reported_in_between(harness: ProducerHarness) -> None:
    harness.producer.acknowledges = False
    harness.producer.answers.extend([None, None])
    harness.step(*harness.file(1, bytes(45)))
    harness.step()
    assert events(harness.step(seconds=0.6)) == [ChunksAcked(1, ((1, 2),))]
    assert events(harness.step(seconds=0.6)) == []


def test_what_was_acknowledged_in_an_earlier_run_counts(harness: ProducerHarness) -> None:
    (run,) = harness.file(1, bytes(25), delivered=((1, 3),))
    harness.step(RunReady(1, 3, 0, 0, 0, 0, b"", digest(bytes(25)), run.file))
    assert harness.producer.sent == []
    assert events(harness.step(seconds=1.1)) == [FilesCompleted(((1, digest(bytes(25))),), True)]


def test_runs_of_an_unknown_file_only_free_their_space(harness: ProducerHarness) -> None:
    (run,) = harness.file(9, bytes(20))
    harness.step(msgspec.structs.replace(run, file=None))
    assert harness.producer.sent == []
    assert harness.ring.used == 0


def test_the_chunker_is_woken_only_if_it_waits(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(10)))
    assert harness.chunker.receive(wait=False) == ()
    runs = harness.file(2, bytes(10))
    harness.ring.set_waiting(True)
    harness.step(*runs)
    assert harness.chunker.receive(wait=False) == [SpaceFreed()]
    _, end = harness.ring.reserve(100) or (0, 0)
    harness.step(SpaceAbandoned(end))
    assert harness.ring.used == 0


# When nothing new is taken


def test_a_full_queue_of_librdkafka_is_waited_for(harness: ProducerHarness) -> None:
    harness.producer.room = 2
    data = bytes(100)
    harness.step(*harness.file(1, data))
    assert len(harness.producer.sent) == 2
    harness.steps(4)
    assert len(harness.producer.sent) == 10
    assert events(harness.steps(2, seconds=1.1)) == [FilesCompleted(((1, digest(data)),), True)]


def test_nothing_new_is_taken_and_no_space_freed_while_librdkafka_is_full(harness: ProducerHarness) -> None:
    harness.producer.room = 2
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(30)))
    harness.step(*harness.file(2, bytes(10)))
    harness.steps(3)
    assert harness.producer.chunks == ["1/3", "2/3"]
    assert harness.ring.used == 40
    assert harness.waits[-1] > 0  # s: the loop does not spin meanwhile
    harness.producer.answers.append(None)
    harness.step()
    assert harness.producer.chunks == ["1/3", "2/3", "3/3"]
    assert harness.ring.used == 10
    harness.producer.answers.append(None)
    harness.step()
    assert harness.producer.chunks == ["1/3", "2/3", "3/3", "1/1"]
    assert harness.ring.used == 0


def test_nothing_new_is_taken_while_messages_wait_to_be_sent_again(harness: ProducerHarness) -> None:
    harness.producer.answers.append(TIMED_OUT)
    harness.step(*harness.file(1, bytes(5)))
    harness.step()
    harness.step(*harness.file(2, bytes(5)))
    assert harness.producer.chunks == ["1/1"]
    harness.step(seconds=0.3)
    harness.step()
    assert len(harness.producer.sent) == 3


# When librdkafka sends what it keeps back


def test_what_comes_after_a_pause_is_sent_at_once(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(25)))
    assert harness.producer.flushed == []
    harness.step()
    assert harness.waits[-1] == 0
    assert harness.producer.flushed == [3]


def test_a_stream_is_sent_when_it_halts(harness: ProducerHarness) -> None:
    harness.producer.acknowledges = False
    for token in range(1, 5):
        harness.step(*harness.file(token, bytes(25)), seconds=0.01)
    assert harness.producer.flushed == []
    harness.step()
    assert harness.waits[-1] > 0
    assert harness.producer.flushed == [12]
    harness.producer.acknowledges = True
    harness.step(seconds=0.01)
    assert harness.producer.flushed == [12]


def test_a_full_queue_is_sent_although_the_stream_goes_on(harness: ProducerHarness) -> None:
    harness.producer.room = 2
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(50)))
    assert harness.producer.flushed == [2]


def test_a_linger_that_the_user_has_set_is_kept(make_harness: MakeHarness) -> None:
    harness = make_harness(lingers_by_load=False)
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(25)))
    harness.step()
    assert harness.producer.flushed == []


# Files that begin again or are dropped


def test_a_file_that_a_second_chunker_begins_again_while_acknowledgements_arrive(
    harness: ProducerHarness,
) -> None:
    """All is acknowledged while its first chunks are sent once more: it completes once, and without trouble."""
    data = bytes(50)
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, data))
    harness.producer.room = 6
    harness.step(*harness.file(1, data))
    harness.producer.acknowledges = True
    messages = harness.steps(3) + harness.steps(2, seconds=1.1)
    assert messages.count(FilesCompleted(((1, digest(data)),), True)) == 1
    assert harness.producer.chunks == [f"{number}/5" for number in (1, 2, 3, 4, 5) * 2]
    assert harness.ring.used == 0


def test_retries_are_dropped_with_their_file(harness: ProducerHarness) -> None:
    harness.producer.answers.extend([TIMED_OUT, TIMED_OUT])
    harness.step(*harness.file(1, bytes(20), complete=False))
    harness.step(FileDropped(1))
    for _ in range(3):
        assert events(harness.step(seconds=10)) == []
    assert harness.producer.chunks == ["1/2", "2/2"]


def test_chunks_that_wait_are_dropped_with_their_file(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(20), complete=False), FileDropped(1), *harness.file(2, bytes(5)))
    assert harness.producer.chunks == ["1/1"]
    assert harness.ring.used == 0


# Ending


def test_stop_writes_what_is_unwritten(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(5)))
    harness.step()
    harness.supervisor.post([Stop()])
    assert not harness.worker.run_once()
    assert events(harness.received()) == [FilesCompleted(((1, digest(bytes(5))),), True)]
    assert harness.table().count("\n") == 2


def test_stop_reports_what_is_acknowledged(harness: ProducerHarness) -> None:
    harness.producer.acknowledges = False
    harness.producer.answers.append(None)
    harness.step(*harness.file(1, bytes(25)))
    harness.step()
    harness.supervisor.post([Stop()])
    assert not harness.worker.run_once()
    assert harness.received() == [ChunksAcked(1, ((1, 1),))]


@pytest.mark.parametrize("is_full", [False, True], ids=["idle", "full"])
def test_stop_does_not_wait_for_a_broker(harness: ProducerHarness, is_full: bool) -> None:
    harness.producer.acknowledges = False
    harness.producer.room = 3
    if is_full:
        harness.step(*harness.file(1, bytes(100)))
    harness.supervisor.post([Stop()])
    harness.chunker.post(harness.file(2, bytes(100)))
    assert not harness.worker.run_once()


def test_rows_are_written_soon_when_nothing_else_is_left(harness: ProducerHarness) -> None:
    harness.supervisor.post([Drain()])
    data = bytes(5)
    harness.step(*harness.file(1, data))
    assert FilesCompleted(((1, digest(data)),), True) in harness.step()


# Waiting


def test_waiting_returns_the_channels_that_are_readable() -> None:
    one, sender = Channel.pair(links.LANE)
    other, silent = Channel.pair(links.LANE)
    with closing(one), closing(sender), closing(other), closing(silent):
        assert wait_readable([one, other], 0.0) == []
        sender.send([SpaceFreed()])
        assert wait_readable([other, one], 60.0) == [one]
        assert wait_readable([other], 0.0) == []
