"""What an upload refuses at the start: exit status 2, one clear line, nothing written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.reader import read_topic
from tests.helpers.uploading import WAIT_S, command, upload_once


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file to upload."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "file").write_bytes(b"x" * 1000)
    return path


def refused(directory: Path, config: Path, topic: str, *options: object) -> str:
    """Run an upload that must be refused; return its one line."""
    before = sorted(directory.rglob("*")) if directory.is_dir() else None
    done = subprocess.run(
        command(directory, config, topic, "--once", *options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert before is None or sorted(directory.rglob("*")) == before
    return line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--chunk_size", "1000"], ["chunk_size", "power of two"], id="chunk-size"),
        pytest.param(["--chunk-size", "0"], ["chunk-size", "power of two"], id="chunk-size-zero"),
        pytest.param(["--n_threads", "0"], ["n_threads"], id="threads"),
        pytest.param(["--n_threads", "two"], ["n_threads", "two"], id="threads-no-number"),
        pytest.param(["--queue_max_size", "-1"], ["queue_max_size"], id="queue"),
        pytest.param(["--queue_max_size", "0.01"], ["queue_max_size", "chunk_size"], id="queue-too-small"),
        pytest.param(["--upload_regex", "("], ["upload_regex", "regular expression"], id="regex"),
        pytest.param(["--update_seconds", "nan"], ["update_seconds"], id="update-seconds"),
        pytest.param(["--logger_stream_level", "loud"], ["logger_stream_level", "loud"], id="level"),
        pytest.param(["--unheard_of"], ["--unheard_of"], id="unknown"),
        pytest.param(["another"], ["another"], id="too-much"),
    ],
)
def test_a_bad_option_is_refused(
    directory: Path, config_file: Path, topic: str, options: list[str], words: list[str]
) -> None:
    line = refused(directory, config_file, topic, *options)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", ["[broker]"], id="empty"),
        pytest.param("[broker]\n[producer]\n", ["bootstrap.servers"], id="no-servers"),
        pytest.param("bootstrap.servers = x:1\n", ["INI"], id="no-section"),
        pytest.param(
            "[broker]\nbootstrap.servers = $DFUD_UNSET\n[producer]\n",
            ["DFUD_UNSET", "not set"],
            id="unset-variable",
        ),
        pytest.param(
            "[broker]\nbootstrap.servers = x:1\n[producer]\nvalue.serializer = Avro\n",
            ["value.serializer", "Avro"],
            id="serializer",
        ),
        pytest.param("[broker]\nbootstrap.servers = x:1\n[producer]\nacks = 0\n", ["acks"], id="acks"),
        pytest.param(
            "[broker]\nbootstrap.servers = x:1\n[producer]\nno.such = 1\n", ["no.such"], id="unknown-property"
        ),
        pytest.param(
            "[broker]\nbootstrap.servers = x:1\n[producer]\nlinger.ms = soon\n",
            ["linger.ms"],
            id="bad-value",
        ),
    ],
)
def test_a_bad_config_is_refused(directory: Path, tmp_path: Path, text: str, words: list[str]) -> None:
    config = tmp_path / "bad.config"
    config.write_text(text)
    line = refused(directory, config, "topic")
    assert str(config) in line
    assert all(word in line for word in words), line


def test_bad_paths_and_names_are_refused(directory: Path, config_file: Path, topic: str, tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none", config_file, topic)
    assert "is not a directory" in refused(directory / "file", config_file, topic)
    assert str(tmp_path / "none") in refused(directory, tmp_path / "none", topic)
    assert "bad/name" in refused(directory, config_file, "bad/name")


def test_a_chunk_size_that_the_topic_does_not_accept_is_refused(
    directory: Path, config_file: Path, make_topic: Callable[..., str]
) -> None:
    line = refused(directory, config_file, make_topic(max_message_bytes=10_000))
    assert "max.message.bytes" in line
    assert "10000" in line
    assert "--chunk_size 16384" in line


def test_a_missing_topic_is_created(directory: Path, config_file: Path, kafka: KafkaNode) -> None:
    upload_once(directory, config_file, "made_by_upload")
    assert len(read_topic(kafka.bootstrap, "made_by_upload")) == 1


def test_large_chunks_are_sent_if_the_topic_accepts_them(
    directory: Path, config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(max_message_bytes=9_000_000)
    (directory / "large").write_bytes(b"0123456789abcdef" * 1_000_000)
    upload_once(directory, config_file, topic, "--chunk_size", 8_388_608)
    sizes = sorted(len(message.value or b"") for message in read_topic(kafka.bootstrap, topic))
    assert sizes == [1000, 16_000_000 - 8_388_608, 8_388_608]


def test_an_upload_that_may_open_too_few_files_is_refused(directory: Path, config_file: Path, topic: str) -> None:
    limited = ["prlimit", "--nofile=16", *command(directory, config_file, topic, "--once")]
    done = subprocess.run(limited, capture_output=True, encoding="utf-8", timeout=WAIT_S, check=False)
    assert done.returncode == 2, done.stdout
    assert "about 60 descriptors are needed in a process, and 16 are allowed; ulimit -n 120" in done.stderr
    assert not (directory / "LOGS").exists()
