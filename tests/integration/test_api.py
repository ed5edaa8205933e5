"""The Python API end to end, on a real Kafka."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

import dfud
from dfud.broker.node import KafkaNode
from tests.helpers.downloading import Record, contents, native, openmsi, produce
from tests.helpers.topics import add_partitions, delete_before, make_anew

NOW = 1_700_000_000_123_456_789


def test_an_upload_is_downloaded_and_read(tmp_path: Path, config_file: Path, topic: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "f").write_bytes(os.urandom(50_000))
    (source / "empty").touch()
    dfud.upload(source, config_file, topic, chunk_size=1024)
    dfud.download(target, config_file, topic, n_threads=1)
    assert contents(target) == contents(source)
    files = {each.path: (each.size, each.file.read()) for each in dfud.read_files(config_file, topic)}
    assert files == {os.fsdecode(path): (len(data), data) for path, data in contents(source).items()}


def test_files_are_read_from_a_mixture_of_messages(config_file: Path, kafka: KafkaNode, topic: str) -> None:
    data = os.urandom(30_000)
    records = native(b"reversed", data, NOW)[::-1] + openmsi(b"d/msi", data, 1.5, partitions=4)
    records += [*native(b"part", data, NOW)[1:], Record(b"foreign", b"x", [])]
    huge = native(b"huge", data, NOW)[0]
    produce(kafka.bootstrap, topic, [*records, huge])
    iterator = dfud.read_files(config_file, topic, spool_bytes=1000)
    files = {each.path: each for each in (next(iterator), next(iterator))}
    with pytest.raises(dfud.DfudError, match=r"(part|huge) is incomplete; (part|huge) is"):
        next(iterator)
    assert set(files) == {"reversed", "d/msi"}
    assert files["d/msi"].mtime_ns == 1_500_000_000
    assert files["d/msi"].digest.startswith("sha512:")
    assert files["reversed"].size == 30_000


def test_of_several_versions_the_last_one_comes_last(
    config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1)
    a, b = native(b"file", b"a" * 2500, NOW), native(b"file", b"b" * 2500, NOW - 1)
    produce(kafka.bootstrap, topic, [*a[:2], *b, *a, *b[:2], *a, *a[:2]])
    contents = [each.file.read(1) for each in dfud.read_files(config_file, topic)]
    assert contents == [b"b", b"a", b"a"]


def test_what_a_committed_offset_says_and_is_gone_is_named(
    config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1)
    produce(kafka.bootstrap, topic, native(b"file", b"a" * 2500, NOW) + native(b"last", b"", NOW))
    group = {"bootstrap.servers": kafka.bootstrap, "group.id": f"reads {topic}"}
    consumer = Consumer(group)
    consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    consumer.close()
    delete_before(kafka, topic, 3)
    assert [each.path for each in dfud.read_files(config_file, topic)] == ["last"]
    files = dfud.read_files(config_file, topic, consumer_group_id=f"reads {topic}")
    assert next(files).path == "last"
    with pytest.raises(dfud.DfudError, match="partition 0: offsets 1-2 were deleted"):
        next(files)


def test_what_was_committed_of_an_earlier_topic_hides_nothing(
    config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1)
    produce(kafka.bootstrap, topic, native(b"file", b"", NOW))
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": f"read {topic}"})
    consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    consumer.close()
    files = dfud.read_files(config_file, topic, consumer_group_id=f"read {topic}")
    assert next(files).path == "file"
    with pytest.raises(dfud.DfudError, match="partition 0: offsets 1-4 are no longer there"):
        next(files)


def test_a_topic_that_is_followed_may_grow_and_be_made_anew(
    config_file: Path, kafka: KafkaNode, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.internal_bootstrap})

    def send(path: bytes, partition: int) -> None:
        produce(kafka.bootstrap, topic, native(path, b"f" * 2500, NOW, partition=partition))

    files = dfud.read_files(config_file, topic, follow=True)
    send(b"old", 0)
    assert next(files).path == "old"
    add_partitions(kafka.bootstrap, topic, 5)
    send(b"added", 4)
    assert next(files).path == "added"
    make_anew(admin, topic)
    send(b"new", 0)
    send(b"newer", 0)
    seen: set[str] = set()
    while seen != {"new", "newer"}:  # before it is noticed, the new topic may be read where the old one was
        seen.add(next(files).path)
    assert f"topic {topic} was deleted and made anew: reading it from its beginning" in caplog.text
    assert "no longer there" not in caplog.text


def test_errors_are_raised(tmp_path: Path, config_file: Path) -> None:
    with pytest.raises(dfud.UsageError, match=r"cannot access topic no_such_topic at .*: it does not exist"):
        dfud.download(tmp_path / "target", config_file, "no_such_topic")
    with pytest.raises(dfud.UsageError, match=r"cannot access topic no_such_topic at .*: it does not exist"):
        next(dfud.read_files(config_file, "no_such_topic"))
    with pytest.raises(dfud.UsageError, match="does not exist"):
        dfud.upload(tmp_path / "nowhere", config_file, "some_topic")


def test_the_import_is_cheap() -> None:
    heavy = ("confluent_kafka", "click", "xxhash")
    program = f"import dfud, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
