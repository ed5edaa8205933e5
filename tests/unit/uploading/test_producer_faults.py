"""Any sequence of librdkafka's faults: every file ends, and the loop never sleeps while something waits."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from confluent_kafka import KafkaError
from hypothesis import HealthCheck, given, settings

from dfud.messages import FilesCompleted, FileUndelivered
from dfud.uploading.retry_queue import MAX_RETRY_S
from tests.helpers.producing import (
    FATAL,
    FORBIDDEN,
    NO_OFFSET,
    TIMED_OUT,
    TOO_LARGE,
    ProducerHarness,
    answer_without_trouble,
    file_run,
)

UNKNOWN_TOPIC = KafkaError(KafkaError._UNKNOWN_TOPIC, "not known yet")
MAX_STEPS = 2000


@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    room=st.integers(1, 5),
    answers=st.lists(
        st.sampled_from([None, None, TIMED_OUT, FATAL, NO_OFFSET, FORBIDDEN, TOO_LARGE]), max_size=30
    ),
    errors=st.lists(st.sampled_from([UNKNOWN_TOPIC, FATAL, FORBIDDEN]), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_file_ends_and_nothing_waits_for_longer_than_a_retry(
    monkeypatch: pytest.MonkeyPatch,
    sizes: list[int],
    room: int,
    answers: list[KafkaError | None],
    errors: list[KafkaError],
) -> None:
    answer_without_trouble(monkeypatch)
    with tempfile.TemporaryDirectory() as top, contextlib.closing(ProducerHarness(Path(top))) as harness:
        harness.runs_clock = True
        harness.producer.room = room
        harness.producer.answers.extend(answers)
        harness.producer.produce_errors.extend(errors)
        harness.chunker.post([file_run(harness.ring, token, bytes(size)) for token, size in enumerate(sizes)])
        ended: set[int] = set()
        for _ in range(MAX_STEPS):
            for message in harness.step():
                if isinstance(message, FilesCompleted):
                    ended.update(token for token, _ in message.files)
                elif isinstance(message, FileUndelivered):
                    ended.add(message.token)
            if len(ended) == len(sizes):
                break
        assert ended == set(range(len(sizes)))
        assert max(harness.waits, default=0.0) <= MAX_RETRY_S
        harness.step()
        assert harness.ring.used == 0
