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
from tests.helpers.downloading import download_once
from tests.helpers.uploading import uploading, wait_until

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
    ended = _ours(fleet(beats))
    assert (ended["state"], ended["level"], ended["dfud"]["exit_status"]) == ("ended", "ok", 0)


def _ours(found: dict[str, Any]) -> dict[str, Any]:
    """Return our own upload; one that has said nothing yet has completed nothing."""
    nothing: dict[str, Any] = {"dfud": {"completed": {"files": 0}}}
    return next((each for each in found["uploads"] if each["program_id"] == "ours"), nothing)
