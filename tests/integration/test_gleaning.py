"""OpenMSIStream's chunks in all partitions, for a shared group, on a topic that changes or hides some."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.downloading import contents, download_once, downloading, native, openmsi, produce
from tests.helpers.topics import delete_before
from tests.helpers.uploading import Upload, wait_until

DATA = random.Random(6).randbytes(4_000)
FIRST, *REST = openmsi(b"spread", DATA, 1e9, partitions=4)  # one chunk in each partition
NOW = 1_700_000_000_123_456_789
ANSWER_S = 30.0


@pytest.fixture
def config(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration with which members of a group notice one another soon."""
    soon = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}
    return client_config.write(tmp_path / "shared.config", kafka.bootstrap, consumer=soon)


@contextmanager
def _gleaning(directory: Path, config: Path, kafka: KafkaNode, topic: str) -> Iterator[Upload]:
    """A download in a group, which has read the first chunk, and looks for the others."""
    produce(kafka.bootstrap, topic, [FIRST])
    group = ("--consumer_group_id", f"shared-{topic}", "--n_threads", "1")
    with downloading(directory, config, topic, *group) as running:
        running.wait_for(r"[1-9] messages? read")
        yield running


def test_what_is_deleted_where_it_looks_hides_nothing_that_comes_later(
    tmp_path: Path, config: Path, kafka: KafkaNode, topic: str
) -> None:
    with _gleaning(tmp_path / "d", config, kafka, topic) as running:
        for process in (workers := running.workers()).values():
            process.suspend()
        for _ in range(2):  # the first one answers a request that waits at the broker
            produce(kafka.bootstrap, topic, native(b"file", b"f", NOW, partition=2))
        delete_before(kafka, topic, 2, partition=2)
        for process in workers.values():
            process.resume()
        running.wait_for("partition 2: offsets? (0-)?1 (was|were) deleted")
        produce(kafka.bootstrap, topic, REST)
        wait_until((tmp_path / "d" / "spread").exists)
        assert len(re.findall("(was|were) deleted", running.quit(status=1))) == 1
    assert contents(tmp_path / "d")[b"spread"] == DATA


def test_a_run_ends_without_what_an_aborted_transaction_has_of_a_file(
    tmp_path: Path, config: Path, kafka: KafkaNode, topic: str
) -> None:
    sender = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    sender.init_transactions(ANSWER_S)
    sender.begin_transaction()
    for key, value, _, partition in REST:
        sender.produce(topic, value, key, partition)
    sender.flush()
    sender.abort_transaction()
    produce(kafka.bootstrap, topic, [FIRST])
    group = ("--consumer_group_id", f"shared-{topic}", "--n_threads", "1")
    text = download_once(tmp_path / "d", config, topic, *group, status=1)
    assert "spread is incomplete: 1000 of ? bytes received" in text, text
