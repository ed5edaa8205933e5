"""The fleet, read from the heartbeats and receipts of real uploads and downloads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from dfud.broker.node import KafkaNode
from dfud.commands.main import load, run
from dfud.fleet.reading import FleetReader, FleetTopics
from dfud.fleet.verdict import State
from dfud.kafka.config import read_config
from dfud.kafka.properties import consumer_properties
from dfud.logs.status_check import Level, Limits
from tests.helpers.downloading import download_once
from tests.helpers.uploading import uploading, wait_until

LIMITS = Limits(600.0, 3600.0, 0, 0, True, None)
Fleet = Callable[..., "dict[str, Any]"]


@pytest.fixture
def fleet(config_file: Path, capsys: pytest.CaptureFixture[str]) -> Fleet:
    """A function that runs the command, and returns its JSON."""

    def look(topic: str, *options: str) -> dict[str, Any]:
        words = ["--config", str(config_file), "--heartbeat_topic_name", topic, "--json", *options]
        assert run(load("fleet"), words, "dfud fleet") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return look


def test_an_upload_is_alive_until_it_ends_and_others_are_what_they_say(
    directory: Path,
    tmp_path: Path,
    config_file: Path,
    kafka: KafkaNode,
    topic: str,
    make_topic: Callable[..., str],
    fleet: Fleet,
) -> None:
    beats, receipts = make_topic(2), make_topic(3, cleanup_policy="compact")
    old = int((time.time() - 90_000) * 1000)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(beats, b'{"timestamp": "2026-01-01T00:00:00+00:00"}', b"gone_heartbeat", timestamp=old)
    producer.produce(beats, b'{"timestamp": "2026-01-01T00:00:00+00:00"}', b"theirs_heartbeat")
    producer.produce(beats, b"\x1b[2J", b"hostile_heartbeat")
    producer.flush()
    options = ("--heartbeat_topic_name", beats, "--heartbeat_interval_secs", 0.5, "--heartbeat_program_id", "ours")
    with uploading(directory, config_file, topic, *options) as upload:
        (directory / "one").write_bytes(b"one")
        wait_until(lambda: _ours(fleet(beats))["dfud"]["completed"]["files"] == 1)
        download_once(tmp_path / "copy", config_file, topic, "--receipts", receipts, "--receiver", "archive")
        (directory / "two").write_bytes(bytes(3 * 16384))
        wait_until(lambda: _ours(fleet(beats))["dfud"]["completed"]["files"] == 2)
        found = fleet(beats, "--receipts", receipts)
        properties = consumer_properties(read_config(str(config_file), "consumer"), "test")
        reader = FleetReader(FleetTopics(beats, receipts, 3_600.0, properties, str(config_file)), LIMITS)
        looks = [reader.read(), reader.read()]
        upload.quit()
    ours = _ours(found)
    assert (ours["state"], ours["level"], ours["dfud"]["topic"]) == ("alive", "ok", topic)
    assert ours["dfud"]["directory_free_bytes"] > 0
    assert {each["program_id"] for each in found["uploads"]} == {"ours", "theirs"}
    (receiver,) = found["receivers"]
    assert (receiver["receiver"], receiver["receipts"]) == ("archive", 1)
    assert (receiver["unread"], receiver["lost"]) == (3, 0)
    assert receiver["behind_s"] > 0
    assert [note.partition(" of topic")[0] for note in found["notes"]] == ["1 message"]
    assert [[each.receipts for each in look.receivers] for look in looks] == [[1], [1]], "nothing is read twice"
    (ended,) = (each for each in reader.read().uploads if each.program.id == "ours")
    assert ended.details is not None
    assert (ended.state, ended.level, ended.details.exit_status) == (State.ENDED, Level.OK, 0)


def _ours(found: dict[str, Any]) -> dict[str, Any]:
    """Return our own upload; one that has said nothing yet has completed nothing."""
    nothing: dict[str, Any] = {"dfud": {"completed": {"files": 0}}}
    return next((each for each in found["uploads"] if each["program_id"] == "ours"), nothing)
