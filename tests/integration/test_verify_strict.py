"""What `dfud verify` proves and names as missing, on topics that lost messages or have several versions."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

import dfud
from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.kafka.topic_reader import TopicReader
from tests.helpers.downloading import Record, contents, download_once, native, openmsi, produce
from tests.helpers.topics import create_topic, delete_before, make_anew
from tests.helpers.uploading import upload_once
from tests.helpers.verifying import verify, verify_meanwhile

NOW = 1_700_000_000_123_456_789  # ns
ANSWER_S = 30.0


@pytest.fixture
def one_partition(make_topic: Callable[..., str]) -> str:
    """A fresh topic of one partition."""
    return make_topic(1)


def write(directory: Path, path: str, data: bytes, mtime_ns: int = NOW) -> None:
    file = directory / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, ns=(mtime_ns, mtime_ns))


@pytest.fixture
def open_transaction(kafka: KafkaNode) -> Iterator[Callable[[str, list[Record]], None]]:
    """A function that puts messages on a topic in a transaction that is not ended before the test is."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "a test"})
    producer.init_transactions(ANSWER_S)

    def send(topic: str, records: list[Record]) -> None:
        producer.begin_transaction()
        for key, value, headers, partition in records:
            producer.produce(topic, value, key, partition, headers=[*headers])
        assert producer.flush(ANSWER_S) == 0

    yield send
    producer.abort_transaction(ANSWER_S)


def printed(directory: Path, config: Path, topic: str) -> set[str]:
    """Return what --print0 lists."""
    _, text = verify(directory, config, topic, "--print0")
    return {name.rpartition("\n")[2] for name in text.split("\0")[:-1]}


def test_a_file_that_was_never_sent(directory: Path, config_file: Path, topic: str) -> None:
    write(directory, "sent", b"sent")
    upload_once(directory, config_file, topic)
    assert verify(directory, config_file, topic)[0] == 0
    write(directory, "new", b"never sent")
    status, text = verify(directory, config_file, topic)
    assert status == 1
    assert "missing: new\n" in text
    assert "recorded uploads on the topic: 1 of 1" in text


def test_only_what_was_sent_last_may_be_deleted(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str
) -> None:
    """DIR has the version A of each file, which is older than B; its name says what was sent, in order."""
    a, b = b"a" * 2500, b"b" * 2500
    for name in ("AB", "BA", "ABA", "BAB"):
        versions = {"A": native(name.encode(), a, NOW), "B": native(name.encode(), b, NOW + 1)}
        produce(kafka.bootstrap, one_partition, [record for each in name for record in versions[each]])
        write(directory, name, a)
    assert printed(directory, config_file, one_partition) == {"BA", "ABA"}
    status, text = verify(directory, config_file, one_partition)
    assert status == 1
    for name in ("AB", "BAB"):
        assert f"differs: {name}; the topic has it, but another version was sent later" in text
    assert "2 same, 2 differs" in text


def test_a_file_in_the_place_of_a_folder(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str
) -> None:
    """The file x is sent before the folder x, the file y after the folder y."""
    file, below = (native(path, b"data", NOW) for path in (b"x", b"x/y/z"))
    later_file, earlier = (native(path, b"data", NOW) for path in (b"y", b"y/y/z"))
    produce(kafka.bootstrap, one_partition, file + below + earlier + later_file)
    for name in ("x", "y"):
        write(directory, name, b"data")
    assert printed(directory, config_file, one_partition) == {"y"}
    for name in ("x", "y"):
        (directory / name).unlink()
        write(directory, f"{name}/y/z", b"data")
    assert printed(directory, config_file, one_partition) == {"x/y/z"}


def test_chunks_of_two_sizes(directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str) -> None:
    """A run was killed, and the next one sends what is missing in smaller chunks."""
    data = os.urandom(8 * 1024 + 5)
    for name in ("there", "gone"):
        write(directory, name, data)
        large, small = (native(name.encode(), data, NOW, size) for size in (4096, 1024))
        produce(kafka.bootstrap, one_partition, [large[0], *small[4:]])
    (table := directory / "LOGS" / f"uploaded_to_{one_partition}.csv").parent.mkdir()
    digest = dict(small[-1].headers)["xxh3_128"].decode()
    time = "2026-01-01T00:00:00+00:00"
    table.write_text(
        "rel_filepath,size,mtime_ns,n_chunks,chunk_size,xxh3_128,started,completed\r\n"
        f"gone,{len(data)},{NOW},9,1024,{digest},{time},{time}\r\n"
    )
    (directory / "gone").unlink()
    assert verify(directory, config_file, one_partition)[0] == 0


def test_what_retention_took_is_missing(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str
) -> None:
    for number in range(3):
        write(directory, f"file{number}", b"%d" % number * 40_000)
        upload_once(directory, config_file, one_partition)
    write(directory, "removed", b"")
    upload_once(directory, config_file, one_partition)
    (directory / "removed").unlink()
    delete_before(kafka, one_partition, 4)  # each file has three chunks
    status, text = verify(directory, config_file, one_partition)
    lines = text.splitlines()
    assert status == 1
    assert "missing: file0" in lines
    assert "incomplete: file1; chunks 1 are missing" in lines
    assert "file0 is recorded as uploaded, but this version is missing on the topic" in lines
    assert "file1 is recorded as uploaded, but chunks 1 are missing on the topic" in lines
    assert "recorded uploads on the topic: 2 of 4" in lines[-1]
    gap = "partition 0: offsets 0-3 were deleted (retention.ms or retention.bytes of the topic, or a deletion)"
    assert gap in lines
    delete_before(kafka, one_partition, 10)
    _, text = verify(directory, config_file, one_partition, "--json")
    report = json.loads(text)
    assert [file["status"] for file in report["files"]] == ["missing"] * 3
    assert report["gaps"][0]["last"] == 9
    assert report["summary"]["proved"] is False


def test_an_incomplete_version_of_no_file_that_is_there(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str
) -> None:
    records = native(b"removed", b"x" * 2500, NOW)
    produce(kafka.bootstrap, one_partition, records[:2])
    status, text = verify(directory, config_file, one_partition)
    assert status == 1
    assert "incomplete on the topic: removed; chunks 3 are missing" in text
    produce(kafka.bootstrap, one_partition, native(b"removed", b"another", NOW + 1))
    assert verify(directory, config_file, one_partition)[0] == 0, "superseded"


def test_messages_that_an_open_transaction_hides(
    directory: Path,
    config_file: Path,
    kafka: KafkaNode,
    one_partition: str,
    open_transaction: Callable[[str, list[Record]], None],
) -> None:
    write(directory, "file", b"sent")
    produce(kafka.bootstrap, one_partition, native(b"file", b"sent", NOW))
    assert verify(directory, config_file, one_partition)[0] == 0
    open_transaction(one_partition, native(b"file", b"hidden", NOW + 1))
    status, text = verify(directory, config_file, one_partition)
    assert status == 1
    assert "partition 0: offset 1 cannot be read before a transaction ends that is open" in text


def test_what_retention_takes_while_the_topic_is_read(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        write(directory, f"f{number}", b"x")
        produce(kafka.bootstrap, one_partition, native(b"f%d" % number, b"x", NOW))
    status, text = verify_meanwhile(
        directory, config_file, one_partition, lambda: delete_before(kafka, one_partition, 2)
    )
    assert status == 1
    gap = "partition 0: offsets 0-1 were deleted (retention.ms or retention.bytes of the topic, or a deletion)"
    assert f"{gap}: it happened while the topic was read; verify again" in text
    assert "4 same, 0 differs, 2 missing" in text
    assign = TopicReader.assign

    def delete_and_assign(reader: TopicReader, starts: dict[int, int]) -> None:
        delete_before(kafka, one_partition, 4)
        assign(reader, starts)

    monkeypatch.setattr(TopicReader, "assign", delete_and_assign)
    read = dfud.read_files(config_file, one_partition)
    assert [next(read).path, next(read).path] == ["f4", "f5"]
    with pytest.raises(dfud.DfudError, match="partition 0: offsets 2-3 were deleted"):
        next(read)


def test_a_topic_that_is_made_anew_while_it_is_read(
    directory: Path, config_file: Path, kafka: KafkaNode, one_partition: str
) -> None:
    write(directory, "file", b"sent")
    produce(kafka.bootstrap, one_partition, native(b"file", b"sent", NOW))

    def change() -> None:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        make_anew(admin, one_partition, 1)
        produce(kafka.bootstrap, one_partition, native(b"file", b"sent", NOW))

    status, text = verify_meanwhile(directory, config_file, one_partition, change)
    assert status == 1
    assert f"topic {one_partition} was deleted, and perhaps made anew, while it was read" in text


@pytest.mark.parametrize("partitions", [1, 4])
def test_versions_of_openmsistream(
    directory: Path, config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str], partitions: int
) -> None:
    """Their chunks lie in all partitions; what was sent last is told by time."""
    topic = make_topic(partitions)
    a, b = b"a" * 4500, b"b" * 4500
    for data in (a, b, a):
        produce(kafka.bootstrap, topic, openmsi(b"file", data, 1.7e9, 1000, partitions))
    write(directory, "file", a)
    assert printed(directory, config_file, topic) == {"file"}
    produce(kafka.bootstrap, topic, openmsi(b"file", b, 1.7e9, 1000, partitions))
    assert printed(directory, config_file, topic) == set()


def test_a_topic_without_messages_and_a_directory_without_files(
    directory: Path, config_file: Path, topic: str
) -> None:
    status, text = verify(directory, config_file, topic)
    assert (status, text.splitlines()[-1]) == (
        0, "0 same, 0 differs, 0 missing, 0 incomplete; recorded uploads on the topic: 0 of 0",
    )  # fmt: skip
    write(directory, "file", b"x")
    assert verify(directory, config_file, topic)[0] == 1
    status, text = verify(directory, config_file, "no_such_topic")
    assert status == 2
    assert "it does not exist" in text


def test_what_is_listed_is_what_a_download_gives(
    directory: Path, config_file: Path, topic: str, tmp_path: Path
) -> None:
    for number in range(5):
        write(directory, f"file{number}", os.urandom(1000))
    upload_once(directory, config_file, topic)
    write(directory, "file3", b"changed", NOW + 5)
    (directory / "file4").unlink()
    write(directory, "file4/below", b"below")
    upload_once(directory, config_file, topic, "--upload_existing")
    names = printed(directory, config_file, topic)
    assert names == {"file0", "file1", "file2", "file3", "file4/below"}
    download_once(tmp_path / "copy", config_file, topic)
    copy = contents(tmp_path / "copy")
    shutil.rmtree(directory / "LOGS")
    assert {os.fsencode(name): copy.get(os.fsencode(name)) for name in names} == contents(directory)


USER, PASSWORD = "instrument", "a secret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A broker that asks for a password and enforces ACLs; clients of its internal address are administrators."""
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.client.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with KafkaNode(tmp_path_factory.mktemp("guarded"), heap_mb=256, properties=properties) as node:
        admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        user = UserScramCredentialUpsertion(USER, scram, PASSWORD.encode())
        admin.alter_user_scram_credentials([user])[USER].result(ANSWER_S)
        yield node


def guarded_topic(node: KafkaNode, *operations: AclOperation) -> str:
    """Return a topic with one file, on which the user may do this, and nothing with any consumer group."""
    topic = create_topic(node.internal_bootstrap, 2)
    admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})
    bindings = [
        AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{USER}", "*", operation,
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]  # fmt: skip
    for made in admin.create_acls(bindings).values():
        made.result(ANSWER_S)
    produce(
        node.internal_bootstrap, topic, native(b"file", b"x" * 2500, NOW) + native(b"f2", b"", NOW, partition=1)
    )
    return topic


@pytest.fixture
def guarded_config(tmp_path: Path, guarded: KafkaNode) -> Path:
    """The configuration of the user."""
    client = {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": USER,
        "sasl.password": PASSWORD,
    }  # fmt: skip
    return client_config.write(tmp_path / "guarded.config", guarded.bootstrap, broker=client)


def test_no_right_to_use_a_consumer_group_is_needed(
    directory: Path, guarded: KafkaNode, guarded_config: Path
) -> None:
    topic = guarded_topic(guarded, AclOperation.READ, AclOperation.DESCRIBE)
    write(directory, "file", b"x" * 2500)
    write(directory, "f2", b"")
    status, text = verify(directory, guarded_config, topic)
    summary, *rest = text.splitlines()
    assert re.fullmatch(r"summary: 2 files, 2.5 kB, [\d.,]+ s, .*/s, 0 failed, 0 left", summary)
    assert (status, rest) == (
        0, ["2 same, 0 differs, 0 missing, 0 incomplete; recorded uploads on the topic: 0 of 0"],
    )  # fmt: skip
    assert {each.path for each in dfud.read_files(guarded_config, topic)} == {"file", "f2"}


def test_the_right_to_read_the_topic_is_named(directory: Path, guarded: KafkaNode, guarded_config: Path) -> None:
    topic = guarded_topic(guarded, AclOperation.DESCRIBE)
    status, text = verify(directory, guarded_config, topic)
    assert status == 2, text
    assert f"cannot read topic {topic}" in text
    assert "the operation Read on" in text
    with pytest.raises(dfud.UsageError, match="the operation Read on"):
        next(dfud.read_files(guarded_config, topic))
