"""A broker that acknowledges slowly, refuses, or takes less than before: nothing is lost, the cause is named."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.downloading import download_once
from tests.helpers.quotas import limit_producer
from tests.helpers.topics import create_topic
from tests.helpers.uploading import (
    assert_all_there,
    completed,
    in_progress,
    tree,
    upload_once,
    uploading,
    wait_until,
)
from tests.helpers.verifying import verify

MakeTopic = Callable[..., str]
AWAY, SLOW = "broker unreachable", "broker slow"
MEBIBYTE = 1 << 20


def fill(directory: Path, files: int, size: int, prefix: str = "file") -> None:
    for number in range(files):
        (directory / f"{prefix}{number}").write_bytes(random.Random(number).randbytes(size))


def config_of(path: Path, kafka: KafkaNode, client_id: str = "dfud", **producer: str) -> Path:
    """Write a configuration file; `producer` holds properties of librdkafka with ``_`` for ``.``."""
    properties = {name.replace("_", "."): value for name, value in producer.items()}
    return client_config.write(path / f"{client_id}.config", kafka.bootstrap, {"client.id": client_id}, properties)


def set_topic(kafka: KafkaNode, topic: str, settings: Mapping[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": kafka.internal_bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(30.0)


def test_under_a_quota_nothing_is_given_up(directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str) -> None:
    """The messages wait for longer than message.timeout.ms, while others are acknowledged."""
    limit_producer(kafka.internal_bootstrap, "limited", 120_000)
    config = config_of(tmp_path, kafka, "limited", message_timeout_ms="3000")
    fill(directory, 20, 60_000)
    text = upload_once(directory, config, topic)
    assert AWAY not in text
    assert re.search(r"broker slow at [0-9.]+ k?B/s: it throttles this client, as a quota", text), text
    assert text.count(SLOW) == 1
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_batches_shrink_to_what_the_broker_receives_at_once(directory: Path, tmp_path: Path) -> None:
    """It closes the connection on which a larger request arrives, without a word."""
    with KafkaNode(tmp_path / "kafka", heap_mb=256, properties={"socket.request.max.bytes": "100000"}) as node:
        topic = create_topic(node.internal_bootstrap)
        fill(directory, 1, 2 * MEBIBYTE)
        text = upload_once(directory, config_of(tmp_path, node), topic)
        assert AWAY not in text
        assert_all_there(directory, node.bootstrap, topic, once=False)


def test_a_refused_time_names_the_clocks(directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str) -> None:
    # The broker compares whole milliseconds, and has a message that does not linger within one.
    config = config_of(tmp_path, kafka, linger_ms="500")
    with uploading(directory, config, topic) as upload:
        set_topic(kafka, topic, {"message.timestamp.before.max.ms": "1"})
        fill(directory, 1, 60_000)
        upload.wait_for(
            "file0 not delivered: .*clocks of this machine and of the broker.*message.timestamp.before"
        )
        upload.quit(status=1)


# Chunks that can no longer be sent


def leave_in_progress(directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str) -> None:
    """Upload a part of a file in chunks of 1 MiB, and kill the upload."""
    limit_producer(kafka.internal_bootstrap, "stuck", 10_000)
    fill(directory, 1, 4 * MEBIBYTE)
    config = config_of(tmp_path, kafka, "stuck")
    with uploading(directory, config, topic, "--upload_existing", "--chunk_size", MEBIBYTE) as upload:
        wait_until(lambda: [row for row in in_progress(directory, topic) if int(row["n_chunks_delivered"])])
        upload.kill()
    assert not completed(directory, topic)


def test_chunks_of_an_earlier_run_are_sent_as_they_are_if_the_topic_takes_them(
    directory: Path, tmp_path: Path, config_file: Path, kafka: KafkaNode, make_topic: MakeTopic
) -> None:
    topic = make_topic(max_message_bytes=2 * MEBIBYTE)
    leave_in_progress(directory, tmp_path, kafka, topic)
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic, once=False)
    assert [row["n_chunks"] for row in completed(directory, topic)] == ["4"]


@pytest.mark.parametrize("is_told", [True, False], ids=["at the start", "by a refusal"])
def test_a_file_whose_chunks_can_no_longer_be_sent_is_sent_anew_in_smaller_ones(
    directory: Path, tmp_path: Path, kafka: KafkaNode, make_topic: MakeTopic, is_told: bool
) -> None:
    topic = make_topic(max_message_bytes=2 * MEBIBYTE)
    leave_in_progress(directory, tmp_path, kafka, topic)
    config = config_of(tmp_path, kafka)
    if is_told:
        set_topic(kafka, topic, {"max.message.bytes": "100000"})
        text = upload_once(directory, config, topic)
        assert "file0 was being uploaded in chunks of 1048576 bytes, which can no longer be sent" in text
        assert "max.message.bytes = 100000" in text
    else:
        limit_producer(kafka.internal_bootstrap, "held", 500_000)
        held = config_of(tmp_path, kafka, "held", batch_num_messages="1", max_in_flight="1")
        with uploading(directory, held, topic) as upload:
            set_topic(kafka, topic, {"max.message.bytes": "100000"})
            upload.wait_for(r"file0: .*max\.message\.bytes.*: uploading all of it again, in chunks of 16384 bytes")
            limit_producer(kafka.internal_bootstrap, "held", 1e9)
            upload.quit()
    assert not in_progress(directory, topic)
    status, text = verify(directory, config, topic)
    assert status == 0, text
    if not is_told:
        target = tmp_path / "target"
        target.mkdir()
        download_once(target, config, topic)
        assert tree(target) == tree(directory)
