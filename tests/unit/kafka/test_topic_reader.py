"""What cannot be read is named, and reading ends with what was there at the start."""

from __future__ import annotations

import time
from typing import Any

import pytest
from confluent_kafka import KafkaError

from dfud.errors import DfudError
from dfud.kafka.busy_client import BusyClient
from dfud.kafka.topic_reader import TopicReader
from dfud.messages import Gap
from tests.helpers.fake_consumer import FakeConsumer, FakeMessage


class Log(FakeConsumer):
    """Partition 0, whose first offset that is still there is `low`."""

    low = 0
    damage: int | None = None  # where a damaged batch begins, instead of the end

    def _take(self, most: int) -> list[FakeMessage]:
        failures, self.failures = self.failures, []
        if failures:
            return failures
        taken = super()._take(most)
        if self.damage is not None and taken and taken[-1].failure is not None:
            taken[-1] = FakeMessage(0, self.damage, KafkaError(KafkaError._BAD_MSG, "bad CRC"))
        return taken

    def get_watermark_offsets(self, partition: Any, timeout: float = 0, cached: bool = False) -> tuple[int, int]:
        return self.low, self.high[0]


def read_all(consumer: Log, ends: dict[int, int], passes: int = 1) -> tuple[list[int], list[Gap], list[int]]:
    """Return the offsets that were read, the gaps, and the codes of the errors that are left."""
    gaps: list[Gap] = []
    read: list[int] = []
    errors: list[int] = []
    reader = TopicReader(consumer, "T", ends, gaps.append)  # type: ignore[arg-type]
    for _ in range(passes):
        reader.assign({0: 0})
        for _ in range(100):
            if not reader.is_done:
                batch = reader.read(0.0)
                read += [message.offset() for message in batch.messages]
                errors += [error.code() for error in batch.errors]
        assert reader.is_done
    return read, gaps, errors


def test_what_was_deleted_meanwhile_is_named_in_each_pass() -> None:
    consumer = Log({0: [3, 4, 5]})
    consumer.low = 3
    gone = FakeMessage(0, 0, KafkaError(KafkaError._AUTO_OFFSET_RESET))
    consumer.failures = [gone]
    assert read_all(consumer, {0: 6}) == ([3, 4, 5], [Gap("", 0, 0, 2, "deleted", "")], [])


def test_damage_after_the_end_does_not_matter() -> None:
    """The last offset that is to be read has no message: it is the marker of a transaction."""
    consumer = Log({0: [0, 1]}, {0: 9})
    consumer.damage = 3
    assert read_all(consumer, {0: 3}, passes=2) == ([0, 1, 0, 1], [], [])


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError._BAD_MSG])
def test_an_offset_that_is_garbage_is_not_the_end(code: int) -> None:
    """librdkafka takes it from a damaged batch."""
    consumer = Log({0: [0, 1, 2]})
    consumer.failures = [FakeMessage(0, 7_032_415_881_259_273_230, KafkaError(code))]
    assert read_all(consumer, {0: 3}) == ([0, 1, 2], [], [])


def test_errors_that_are_not_repaired_are_returned() -> None:
    consumer = Log({0: [0]})
    consumer.failures = [FakeMessage(0, 0, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))]
    assert read_all(consumer, {0: 1}) == ([0], [], [KafkaError.TOPIC_AUTHORIZATION_FAILED])


@pytest.mark.parametrize(("high", "cause"), [(2, "cut"), (9, "hidden")])
def test_what_was_there_at_the_start_and_is_not_any_more_is_named(
    monkeypatch: pytest.MonkeyPatch, high: int, cause: str
) -> None:
    seconds = iter(range(0, 10_000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    consumer = Log({0: [0, 1]}, {0: 2})
    made = iter([2])  # the end is reported before it is asked for
    monkeypatch.setattr(Log, "get_watermark_offsets", lambda *_, **__: (0, next(made, high)))
    read, gaps, _ = read_all(consumer, {0: 5})
    assert read == [0, 1]
    assert gaps == [Gap("", 0, 2, 4, cause, "")]  # type: ignore[arg-type]


def test_a_client_that_is_stuck_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BusyClient, "check", lambda _: True)
    consumer = Log({0: []}, {0: 5})
    monkeypatch.setattr(consumer, "_take", lambda _: [])
    reader = TopicReader(consumer, "T", {0: 5}, print)  # type: ignore[arg-type]
    reader.assign({0: 2})
    with pytest.raises(DfudError, match=r"cannot read topic T: .* damaged .* in partition 0 from offset 2 on"):
        reader.read(0.0)


def test_a_client_is_stuck_only_if_something_is_left_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client of the process may be as busy as this one would be."""
    monkeypatch.setattr(BusyClient, "check", lambda _: True)
    consumer = Log({0: [0, 1]})
    reader = TopicReader(consumer, "T", None, print)  # type: ignore[arg-type]
    reader.assign({0: 0})
    assert len(reader.read(0.0).messages) == 2
    assert not reader.unread
    assert not reader.read(0.0).messages
    consumer.high[0] = 3
    with pytest.raises(DfudError, match="in partition 0 from offset 2 on"):
        reader.read(0.0)
