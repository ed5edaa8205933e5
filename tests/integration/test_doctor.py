"""``dfud doctor`` with a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from dfud.broker.node import KafkaNode
from tests.helpers.uploading import WAIT_S, uploading


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file to upload."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "file").write_bytes(b"x")
    return path


def doctor(status: int, directory: Path, config: Path, topic: str, *more: str) -> dict[str, str]:
    """Run the doctor, who must end with `status`; return what is not fine, by its subject."""
    words = ["doctor", str(directory), "--config", str(config), "--topic_name", topic, "--json", *more]
    done = subprocess.run(
        [sys.executable, "-m", "dfud", *words],
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["exit_status"] == status
    return {each["subject"]: each["text"] for each in report["diagnoses"] if each["level"] != "fine"}


def test_all_is_fine_before_and_during_an_upload(directory: Path, config_file: Path, topic: str) -> None:
    assert doctor(0, directory, config_file, topic) == {}
    assert not (directory / "LOGS").exists()
    with uploading(directory, config_file, topic) as upload:
        assert doctor(0, directory, config_file, topic) == {}
        upload.quit()
    assert doctor(0, directory, config_file, topic) == {}


@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        pytest.param({"cleanup_policy": "compact"}, 2, "set the topic's cleanup.policy to delete", id="compact"),
        pytest.param({"max_message_bytes": 9_000}, 2, "too small for --chunk_size 16384", id="size"),
        pytest.param({"retention_ms": 7_200_000}, 1, "deletes what is older than 2 hours", id="retention"),
    ],
)
def test_what_is_wrong_with_a_topic_is_told(
    directory: Path,
    config_file: Path,
    make_topic: Callable[..., str],
    settings: dict[str, object],
    status: int,
    words: str,
) -> None:
    found = doctor(status, directory, config_file, make_topic(**settings))
    assert list(found) == ["topic"]
    assert words in found["topic"]


def test_a_topic_that_does_not_exist_is_not_created(directory: Path, config_file: Path, kafka: KafkaNode) -> None:
    options = ("--canary", "30", "--heartbeat_topic_name", "there_are_no_beats")
    found = doctor(1, directory, config_file, "there_is_none", *options)
    assert "the upload would create it" in found["topic"]
    assert found["heartbeat"] == "topic there_are_no_beats does not exist; create it"
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert not {"there_is_none", "there_is_none_canary", "there_are_no_beats"} & set(topics)
