"""Heartbeats and lines of the log on their topics, and that the upload does not mind what becomes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.reader import read_topic
from tests.helpers.uploading import assert_all_there, upload_once, uploading, wait_until

CHUNK = 16384
BOTH = ("--heartbeat_interval_secs", 0.2, "--log_interval_secs", 0.2)


def values(kafka: KafkaNode, topic: str, key: bytes) -> list[dict[str, Any]]:
    """Return the values of all messages of a topic, which must have this key."""
    messages = read_topic(kafka.bootstrap, topic)
    assert {message.key for message in messages} <= {key}
    return [json.loads(message.value or b"") for message in messages]


def test_heartbeats_and_log_lines_are_on_their_topics_up_to_the_end(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, make_topic: Callable[..., str]
) -> None:
    beats, lines = make_topic(1), make_topic(1)
    to_beats = ("--heartbeat_topic_name", beats, "--heartbeat_program_id", "lab 1")
    to_lines = ("--log_topic_name", lines, "--log_program_id", "lab 2")
    with uploading(directory, config_file, topic, *to_beats, *to_lines, *BOTH) as upload:
        wait_until(lambda: len(values(kafka, beats, b"lab 1_heartbeat")) > 1)
        (directory / "one").write_bytes(bytes(3 * CHUNK + 5))
        wait_until(lambda: any(beat["n_messages_produced"] for beat in values(kafka, beats, b"lab 1_heartbeat")))
        wait_until(lambda: any("one" in str(entry) for entry in values(kafka, lines, b"lab 2_log")))
        upload.wait_for_worker(
            "announcer"
        ).kill()  # one file between its death and its successor's first heartbeat
        (directory / "two").write_bytes(bytes(CHUNK))
        upload.say("quit")
        status, output = upload.end()
    assert status == 0
    assert output.count("announcer was killed by SIGKILL: restarting it") <= 1
    found = values(kafka, beats, b"lab 1_heartbeat")
    names = {"timestamp", "n_messages_produced", "n_bytes_produced", "dfud"}
    assert [set(beat) for beat in found] == [names] * len(found)
    assert [beat["dfud"]["exit_status"] for beat in found] == [None] * (len(found) - 1) + [0]
    assert {beat["dfud"]["directory"] for beat in found} == {str(directory)}
    assert all(beat["dfud"]["directory_free_bytes"] > 0 for beat in found)
    times = [datetime.fromisoformat(beat["timestamp"]) for beat in found]
    assert {time.utcoffset() for time in times} == {timedelta(0)}
    assert times == sorted(times)
    assert abs(times[-1] - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert sum(beat["n_messages_produced"] for beat in found) >= 5
    assert sum(beat["n_bytes_produced"] for beat in found) >= 4 * CHUNK + 5
    logs = values(kafka, lines, b"lab 2_log")
    assert [set(entry) for entry in logs] == [{"timestamp", "messages"}] * len(logs)
    assert abs(logs[-1]["timestamp"] - time.time()) < 60
    text = [line for entry in logs for line in entry["messages"]]
    assert f"uploading {directory} to topic {topic}" in text
    assert text[-1] == "all files detected are on the topic and recorded"


def test_a_topic_that_is_missing_is_said_once_and_not_to_itself(
    directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str
) -> None:
    impatient = {"topic.metadata.propagation.max.ms": "50", "topic.metadata.refresh.interval.ms": "500"}
    config = client_config.write(tmp_path / "impatient.config", kafka.bootstrap, producer=impatient)
    lines = f"{topic}_log"
    with uploading(directory, config, topic, "--log_topic_name", lines, "--log_interval_secs", 0.2) as upload:
        upload.wait_for(
            f"WARNING: cannot send log messages to topic {lines}: it does not exist; create it; retrying"
        )
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic(lines, 1, 1)])[lines].result(15)
        upload.wait_for(f"WARNING: log messages reach topic {lines} again")
        output = upload.quit()
    assert output.count(lines) == 2, output
    messages = [line for message in read_topic(kafka.bootstrap, lines) for line in _lines(message.value)]
    assert not any(lines in line for line in messages)
    assert f"uploading {directory} to topic {topic}" in messages


def _lines(value: bytes | None) -> list[str]:
    lines: list[str] = json.loads(value or b"")["messages"]
    return lines


def test_a_broker_that_is_away_delays_nothing(
    directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str
) -> None:
    config = tmp_path / "elsewhere.config"
    elsewhere = "prefer.separate.producer = true\nbootstrap.servers = 127.0.0.1:9\n"
    text = f"{client_config.render(kafka.bootstrap)}\n[heartbeat]\n{elsewhere}[log]\n{elsewhere}"
    config.write_text(text)
    (directory / "file").write_bytes(bytes(CHUNK))
    options = ("--heartbeat_topic_name", "beats", "--log_topic_name", "lines", *BOTH)
    output = upload_once(directory, config, topic, "--upload_existing", *options)
    assert_all_there(directory, kafka.bootstrap, topic)
    assert output.count("to topic beats") + output.count("on topic beats") == 1
    assert output.count("topic lines") == 1
