"""What an upload makes of its topic and its broker, at the start and while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.broker.ports import HOST, free_ports
from tests.helpers.other_clock import OtherClock
from tests.helpers.proxy import Proxy
from tests.helpers.topics import add_partitions, create_topic, make_anew
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import (
    WAIT_S,
    Upload,
    assert_all_there,
    command,
    completed,
    in_progress,
    upload_once,
    uploading,
    wait_until,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file to upload."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "file").write_bytes(b"x" * 50_000)
    return path


def refused(directory: Path, config: Path, topic: str, *options: object) -> str:
    """Run an upload that must be refused; return its one line."""
    done = subprocess.run(
        command(directory, config, topic, "--once", *options),
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert not (directory / "LOGS").exists()
    return line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"cleanup_policy": "compact"}, ["cleanup.policy = compact", "set"], id="compact"),
        pytest.param({"cleanup_policy": "compact,delete"}, ["cleanup.policy = compact,delete"], id="both"),
        pytest.param(
            {"segment_bytes": 1_048_576}, ["segment.bytes = 1048576", "--chunk_size 2097152"], id="segment"
        ),
        pytest.param({"min_insync_replicas": 2}, ["1 replica", "min.insync.replicas = 2"], id="replicas"),
    ],
)
def test_a_topic_that_would_lose_data_is_refused(
    directory: Path,
    config_file: Path,
    make_topic: Callable[..., str],
    settings: dict[str, object],
    words: list[str],
) -> None:
    settings = {"max_message_bytes": 9_000_000, **settings}
    chunk_size = 2_097_152 if "segment_bytes" in settings else 16384
    line = refused(directory, config_file, make_topic(**settings), "--chunk_size", chunk_size)
    assert all(word in line for word in words), line


def test_what_may_lose_data_is_told_once(
    directory: Path, config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(retention_ms=7_200_000, retention_bytes=1 << 30, message_timestamp_before_max_ms=60_000)
    text = upload_once(directory, config_file, topic)
    for words in (
        "retention.ms = 7200000: it deletes what is older than 2 hours",
        "hold about 4 GiB",
        "longer than 1 minute",
    ):
        assert text.count(words) == 1, text
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_topic_without_any_flaw_is_not_commented(directory: Path, config_file: Path, topic: str) -> None:
    assert "WARNING" not in upload_once(directory, config_file, topic)


def test_an_upload_waits_for_its_broker_and_takes_what_arrives_meanwhile(directory: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = client_config.write(tmp_path / "its.config", f"{HOST}:{port}")
    old = tmp_path / "old"
    old.mkdir()
    (old / "in a folder").write_bytes(b"old")
    os.utime(old / "in a folder", (1, 1))
    upload = Upload(command(directory, config, "t"))
    try:
        upload.wait_for(
            f"no broker reached at {HOST}:{port} .bootstrap.servers in {config}.: .*Connection refused.*retrying"
        )
        upload.wait_for_worker("watcher")
        (directory / "killed").write_bytes(b"before the kill")
        upload.kill()
        upload.close()
        upload = Upload(command(directory, config, "t"))
        upload.wait_for("no broker reached")
        second = subprocess.run(
            command(directory, config, "t"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAIT_S,
            check=False,
        )
        assert second.returncode == 75, second.stderr
        old.rename(directory / "moved")
        (directory / "new").write_bytes(b"new")
        with KafkaNode(tmp_path / "kafka", port, heap_mb=256):
            upload.wait_for("uploading ")
            wait_until(lambda: {row["rel_filepath"] for row in completed(directory, "t")}
                       >= {"killed", "new", "moved/in a folder"})  # fmt: skip
            upload.quit()
            assert "file" not in {row["rel_filepath"] for row in completed(directory, "t")}
    finally:
        upload.close()


@pytest.mark.parametrize("how", ["quit", "SIGTERM", "SIGINT"])
def test_the_wait_can_be_ended(directory: Path, tmp_path: Path, how: str) -> None:
    config = client_config.write(tmp_path / "config", f"no-such-host.invalid:{free_ports(1)[0]}")
    upload = Upload(command(directory, config, "t"))
    try:
        upload.wait_for(
            "no broker reached at .*no-such-host.invalid cannot be resolved.*bootstrap.servers.*retrying"
        )
        if how == "quit":
            upload.say("quit")
        else:
            upload.process.send_signal(getattr(signal, how))
        status, text = upload.end()
        assert status == 1, text
        assert "ended while waiting for a broker" in text
    finally:
        upload.close()


def test_once_waits_for_as_long_as_a_message_would(directory: Path, tmp_path: Path) -> None:
    address = f"{HOST}:{free_ports(1)[0]}"
    config = client_config.write(tmp_path / "config", address, producer={"message.timeout.ms": "2000"})
    text = upload_once(directory, config, "t", status=1)
    assert f"no broker reached at {address}" in text
    assert "retrying for 2 s (message.timeout.ms)" in text
    assert "Connection refused" in text
    assert "gave up after 2 s" in text


@pytest.mark.parametrize("existed", [False, True])
def test_logs_is_as_it_was_if_the_topic_is_refused_after_the_wait(
    directory: Path, tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str, existed: bool
) -> None:
    if existed:
        upload_once(directory, config_file, topic)
    set_config(kafka.bootstrap, topic, "cleanup.policy", "compact")
    before = contents(directory)
    with Proxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        proxy.cut()
        upload = Upload(command(directory, client_config.write(tmp_path / "proxy.config", proxy.address), topic))
        try:
            upload.wait_for("no broker reached")
            proxy.heal()
            status, text = upload.end()
            assert status == 2, text
            assert "cleanup.policy = compact" in text
            assert contents(directory) == before
        finally:
            upload.close()


def contents(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in directory.rglob("*")}


def set_config(bootstrap: str, topic: str, name: str, value: str) -> None:
    """Change one setting of a topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(30)


def test_a_topic_that_is_made_anew_gets_all_that_is_in_progress(
    directory: Path, slow_config: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    def has_progress() -> bool:
        return any(int(row["n_chunks_delivered"]) for row in in_progress(directory, topic))

    upload_once(directory, config_file, topic)
    with uploading(directory, slow_config, topic, "--chunk_size", 1024) as upload:
        (directory / "large").write_bytes(bytes(80_000_000))
        wait_until(has_progress)
        make_anew(AdminClient({"bootstrap.servers": kafka.bootstrap}), topic)
        upload.wait_for(f"ERROR: topic {topic} was deleted and made anew: nothing")
        upload.wait_for("1 recorded file may not be on topic")  # so that the large one is not complete
        wait_until(has_progress)
        upload.kill()
    make_anew(AdminClient({"bootstrap.servers": kafka.bootstrap}), topic)
    text = upload_once(directory, config_file, topic)
    assert f"1 recorded file may not be on topic {topic} any more" in text
    assert f"uploaded_to_{topic}.csv" in text
    assert "--upload_existing" in text
    (directory / "file").rename(directory / "again")
    assert "any more" not in upload_once(directory, config_file, topic)  # it is known by now
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_what_changes_about_the_topic_during_a_run_is_told(
    directory: Path, config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1, retention_ms=604_800_000)
    with uploading(directory, config_file, topic) as upload:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        add_partitions(kafka.bootstrap, topic, 3)
        set_config(kafka.bootstrap, topic, "retention.ms", "3600000")
        set_config(kafka.bootstrap, topic, "cleanup.policy", "compact,delete")
        for number in range(10):  # what is sent before it has looked at the topic first is not compared
            (directory / f"new{number}").write_bytes(b"x" * 40_000)
            wait_until(partial(has_completed, directory, topic, number + 1))
            partition = TopicPartition(topic, 0, OFFSET_END)
            admin.delete_records([partition])[partition].result(30)
        upload.wait_for(f"topic {topic} has 2 more partitions, 3 in all")
        upload.wait_for("ERROR: .*cleanup.policy = compact,delete.*set the topic's cleanup.policy to delete")
        upload.wait_for("retention.ms of topic .* was lowered: it now keeps 1 hour of messages")
        upload.wait_for(r"ERROR: \d+ messages? of the last .* no longer on topic .*clock")
        text = upload.quit(status=1)
    assert f"topic {topic} does not keep all that was sent to it" in text


def has_completed(directory: Path, topic: str, number: int) -> bool:
    """Return whether so many files are recorded."""
    return len(completed(directory, topic)) >= number


def test_a_wrong_clock_is_told_with_both_times(directory: Path, tmp_path: Path) -> None:
    try:
        clock = OtherClock(tmp_path)
    except UnavailableError as error:
        pytest.skip(str(error))
    clock.set_ahead(-3 * 3600)
    with clock.use():
        node = KafkaNode(tmp_path / "kafka", heap_mb=256)
        node.start()
    try:
        config = client_config.write(tmp_path / "its.config", node.bootstrap)
        topic = create_topic(node.bootstrap, 1, settings={"retention_ms": 604_800_000})
        for ahead_s, status, words in (  # only forward: Kafka's own timers go by this clock
            (-3 * 3600, 2, "would refuse all messages (message.timestamp.after.max.ms = 3600000)"),
            (0, 0, ""),
            (125, 0, "messages are stamped by a clock that is 2 minutes behind"),
            (30 * 86400, 2, "would delete all messages (retention.ms = 604800000); set"),
        ):
            clock.set_ahead(ahead_s)
            text = upload_once(directory, config, topic, status=status)
            assert words in text
            assert ("this machine's clock shows 20" in text) == (ahead_s != 0), text
            assert ("the clock of Kafka 20" in text) == (ahead_s != 0), text
    finally:
        node.stop()
