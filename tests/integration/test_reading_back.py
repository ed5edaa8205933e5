"""What a download says, and how it ends, if the topic has lost messages or hides them; and whose group it uses."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

import dfud
from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.demo import reader as independent_reader
from tests.helpers.batches import batches, correct_checksum, produce_batch, stopped
from tests.helpers.downloading import Record, contents, download_once, downloading, native, openmsi, produce
from tests.helpers.topics import add_partitions, create_topic, make_anew
from tests.helpers.uploading import upload_once, wait_until
from tests.helpers.verifying import verify

NOW = 1_700_000_000_123_456_789
ANSWER_S = 30.0


@pytest.fixture
def admin(kafka: KafkaNode) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.internal_bootstrap})


@pytest.fixture
def latest(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration file with which a consumer without offsets begins at the end."""
    return client_config.write(
        tmp_path / "latest.config", kafka.bootstrap, consumer={"auto.offset.reset": "latest"}
    )


def delete_before(admin: AdminClient, topic: str, offset: int, number: int = 0) -> None:
    """Delete what a partition has before an offset, as retention does."""
    asked = TopicPartition(topic, number, offset)
    admin.delete_records([asked])[asked].result(ANSWER_S)


def one_file(number: int, partition: int = 0) -> list[Record]:
    return native(b"f%d" % number, b"%d" % number, NOW, partition=partition)


def files(first: int, last: int, partition: int = 0) -> list[Record]:
    return [record for number in range(first, last + 1) for record in one_file(number, partition)]


# Groups


def test_two_directories_that_begin_on_the_empty_topic_get_all_of_it(
    tmp_path: Path, config_file: Path, directory: Path, topic: str
) -> None:
    for name in ("a", "b"):
        download_once(tmp_path / name, config_file, topic)
    (directory / "file").write_bytes(b"1" * 50_000)
    upload_once(directory, config_file, topic)
    for name in ("a", "b"):
        download_once(tmp_path / name, config_file, topic)
        assert contents(tmp_path / name) == {b"file": b"1" * 50_000}


def test_a_copy_of_a_directory_reads_for_itself_and_a_moved_one_goes_on(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    first, copy, moved = (tmp_path / name for name in ("first", "copy", "moved"))
    produce(kafka.bootstrap, topic, one_file(1))
    download_once(first, config_file, topic)
    shutil.copytree(first, copy, symlinks=True)
    produce(kafka.bootstrap, topic, one_file(2))
    download_once(first, config_file, topic)
    assert "this directory is a copy" in download_once(copy, config_file, topic)
    assert contents(copy) == contents(first) == {b"f1": b"1", b"f2": b"2"}
    first.rename(moved)
    assert "0 messages read" in download_once(moved, config_file, topic)
    assert "0 messages read" in download_once(copy, config_file, topic)
    # A backup that is put back in its place.
    shutil.rmtree(moved)
    shutil.copytree(copy, moved, symlinks=True)
    (moved / "f2").unlink()
    download_once(moved, config_file, topic)
    assert contents(moved) == contents(copy)


def test_a_group_that_a_subscriber_uses_is_named_once(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    produce(kafka.bootstrap, topic, files(1, 3))
    other = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "theirs"})
    other.subscribe([topic])
    wait_until(lambda: other.poll(0.1) is None and bool(other.assignment()))
    with downloading(tmp_path / "d", config_file, topic, "--consumer_group_id", "theirs") as running:
        running.wait_for("group theirs is in use by another program .*: choose another --consumer_group_id")
        assert running.quit(status=1).count("is in use by another program") <= 2, "at once, and at the end"
    other.close()


# Gaps


def test_what_was_deleted_before_it_was_read_is_named_once(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target, gap = tmp_path / "d", "partition 0: offsets {} were deleted"
    produce(kafka.bootstrap, topic, files(0, 9))
    delete_before(admin, topic, 4)
    text = download_once(target, config_file, topic, status=1)
    assert text.count(gap.format("0-3")) == 1
    assert len(contents(target)) == 6
    assert "were deleted" not in download_once(target, config_file, topic)
    produce(kafka.bootstrap, topic, files(10, 19))
    delete_before(admin, topic, 20)
    text = download_once(target, config_file, topic, status=1)
    assert text.count(gap.format("10-19")) == 1
    assert "were deleted" not in download_once(target, config_file, topic)


def test_what_was_deleted_is_named_even_if_reading_began_at_the_end(
    tmp_path: Path, latest: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    produce(kafka.bootstrap, topic, files(0, 4))
    assert "0 messages read" in download_once(target, latest, topic)
    produce(kafka.bootstrap, topic, files(5, 9))
    delete_before(admin, topic, 7)
    add_partitions(kafka.bootstrap, topic, 5)
    produce(kafka.bootstrap, topic, files(10, 10, partition=4))
    text = download_once(target, latest, topic, status=1)
    assert "partition 0: offsets 5-6 were deleted" in text
    assert set(contents(target)) == {b"f7", b"f8", b"f9", b"f10"}


def test_what_is_deleted_while_it_runs_is_named(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    produce(kafka.bootstrap, topic, one_file(0))
    with downloading(target, config_file, topic) as running:
        wait_until((target / "f0").exists)
        for process in (worker := running.workers()).values():
            process.suspend()
        time.sleep(1.0)  # until the broker has answered what they had asked for: fetch.wait.max.ms
        produce(kafka.bootstrap, topic, files(1, 9))
        delete_before(admin, topic, 6)
        for process in worker.values():
            process.resume()
        running.wait_for("partition 0: offsets 1-5 were deleted")
        wait_until((target / "f9").exists)
        running.quit(status=1)
    assert set(contents(target)) == {b"f0", b"f6", b"f7", b"f8", b"f9"}
    assert "0 messages read" in download_once(target, config_file, topic)


def test_partitions_that_are_added_are_read_from_their_beginning(
    tmp_path: Path, latest: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    with downloading(target, latest, topic) as running:
        running.wait_for("downloading")
        add_partitions(kafka.bootstrap, topic, 6)
        produce(kafka.bootstrap, topic, files(0, 3, partition=5))
        wait_until((target / "f3").exists, 15.0)
        running.quit()
    assert len(contents(target)) == 4


# Transactions


def test_an_open_transaction_is_named_and_an_aborted_one_is_no_gap(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    produce(kafka.bootstrap, topic, files(0, 1))
    sender = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    sender.init_transactions(ANSWER_S)

    def send(number: int) -> None:
        (record,) = one_file(number)
        sender.produce(topic, record.value, record.key, 0, headers=[*record.headers])
        sender.flush()

    sender.begin_transaction()
    send(2)
    produce(kafka.bootstrap, topic, files(3, 3))
    text = download_once(target, config_file, topic, status=1)
    assert "partition 0: offsets 2-3 cannot be read before a transaction ends" in text
    sender.abort_transaction()
    with downloading(target, config_file, topic) as running:
        wait_until((target / "f3").exists)
        assert set(contents(target)) == {b"f0", b"f1", b"f3"}
        sender.begin_transaction()
        send(4)
        running.wait_for("partition 0: offset 5 cannot be read before a transaction ends")
        sender.commit_transaction()
        running.wait_for("the transaction has ended")
        wait_until((target / "f4").exists)
        running.quit()
    assert "0 messages read" in download_once(target, config_file, topic)
    delete_before(admin, topic, 7)  # nothing is lost with the markers at the end
    assert "0 messages read" in download_once(target, config_file, topic)


# A topic that is made anew


def test_a_topic_that_is_made_anew_while_it_runs_is_read_from_its_beginning(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    produce(kafka.bootstrap, topic, files(0, 9))
    with downloading(target, config_file, topic) as running:
        wait_until((target / "f9").exists)
        make_anew(admin, topic)
        produce(kafka.bootstrap, topic, files(10, 29))
        running.wait_for(f"topic {topic} was deleted and made anew")
        wait_until((target / "f10").exists)
        wait_until((target / "f29").exists)
        running.quit(status=1)
    assert len(contents(target)) == 30
    assert "0 messages read" in download_once(target, config_file, topic)


def test_a_topic_that_is_made_anew_between_runs_is_read_from_its_beginning(
    tmp_path: Path, latest: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    download_once(target, latest, topic)
    produce(kafka.bootstrap, topic, files(0, 4))
    download_once(target, latest, topic)
    make_anew(admin, topic)
    produce(kafka.bootstrap, topic, files(5, 20))
    assert f"topic {topic} was deleted and made anew" in download_once(target, latest, topic, status=1)
    assert len(contents(target)) == 21
    assert "made anew" not in download_once(target, latest, topic)


def test_a_topic_that_is_deleted_is_waited_for(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, admin: AdminClient, topic: str
) -> None:
    target = tmp_path / "d"
    with downloading(target, config_file, topic) as running:
        running.wait_for("downloading")
        admin.delete_topics([topic])[topic].result(ANSWER_S)
        running.wait_for(f"topic {topic} was deleted: .*waiting for it")
        admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(ANSWER_S)
        produce(kafka.bootstrap, topic, files(0, 3))
        running.wait_for("is there again")
        wait_until((target / "f3").exists)
        running.quit(status=1)


# Damaged batches


DAMAGED = ("5-9", "15-19", "20-24", "30")  # offsets
READABLE = {*range(5), *range(10, 15), *range(25, 30), *range(31, 36)}


def test_batches_that_cannot_be_read_are_named_and_skipped(tmp_path: Path) -> None:
    damaged, endless, empty, shared = (tmp_path / name for name in ("damaged", "endless", "empty", "shared"))
    whole_file, lost_file = (openmsi(path, bytes(4_000), 1e9, partitions=2) for path in (b"whole", b"lost"))
    empty.mkdir()
    with KafkaNode(tmp_path / "kafka", heap_mb=256) as node, ThreadPoolExecutor() as at_once:
        topic, other, foreign, spread = (create_topic(node.internal_bootstrap, n) for n in (1, 1, 1, 2))
        for first, last in ((0, 4), (5, 9), (10, 14), (15, 19), (20, 24), (25, 29), (30, 30), (31, 35)):
            produce_batch(node, topic, files(first, last))
        produce_batch(node, other, files(0, 9))
        for record in (lost_file[1], whole_file[1], whole_file[3]):  # in partition 0
            produce_batch(node, spread, [record])
        produce(node.bootstrap, spread, [*lost_file[::2], *whole_file[::2]])
        for each in (topic, foreign):
            produce(node.bootstrap, each, [Record(b"another program's", b"", [("not UTF-8", b"")])])
        with (
            stopped(node),
            batches(node, topic) as found,
            batches(node, other) as (whole,),
            batches(node, foreign) as (named,),
            batches(node, spread) as (lost, _, _),
        ):
            lost[73:91] = b"\xff" * 18  # the broker cannot read its time either
            correct_checksum(lost)
            found[1][73:91] = b"\xff" * 18  # not what gzip makes of anything
            correct_checksum(found[1])
            found[3][17] ^= 1  # the checksum
            found[4][17] ^= 1
            found[6][16] = 9  # the version of the format
            for batch in (found[8], named):
                batch[bytes(batch).index(b"not UTF-8")] = 0xFF
                correct_checksum(batch)
            whole[-20:] = b"\xff" * 20  # gzip expects more: librdkafka waits for it for ever
            correct_checksum(whole)
        config = client_config.write(tmp_path / "kafka.config", node.bootstrap)
        (message,) = independent_reader.read_topic(node.bootstrap, foreign)
        assert not message.headers
        # To notice that librdkafka is stuck takes time.
        stuck = at_once.submit(download_once, endless, config, other, status=1)
        stuck_verify = at_once.submit(verify, empty, config, other)
        text = download_once(shared, config, spread, "--consumer_group_id", "shared", status=1)
        assert text.count("partition 0: offset 0 cannot be read and is skipped") == 1
        assert contents(shared) == {b"whole": bytes(4_000)}
        assert "lost is incomplete: 2000 of ? bytes received" in text
        downloaded = download_once(damaged, config, topic, "--n_threads", "1", status=1)
        assert set(contents(damaged)) == {b"f%d" % number for number in READABLE}, downloaded
        assert "0 messages read" in download_once(damaged, config, topic)
        status, text = verify(damaged, config, topic)
        assert status == 1
        assert f"{len(READABLE)} same, 0 differs, 0 missing, 0 incomplete" in text
        read = dfud.read_files(config, topic)
        assert {next(read).path for _ in READABLE} == {f"f{number}" for number in READABLE}
        with pytest.raises(dfud.DfudError) as raised:
            next(read)
        for each in (downloaded, text, str(raised.value)):
            for offsets in DAMAGED:
                assert (
                    len(re.findall(f"partition 0: offsets? {offsets} cannot be read and (is|are) skipped", each))
                    == 1
                )
        for each in (stuck.result(), stuck_verify.result()[1]):
            place = "partition 0 from offset 0 on" if "nor be skipped" in each else "partition 0: offsets 0-9"
            assert place in each
        assert stuck_verify.result()[0] == 1


def test_what_is_too_large_for_the_client_is_named(tmp_path: Path, kafka: KafkaNode, topic: str) -> None:
    target = tmp_path / "d"
    limits = {"receive.message.max.bytes": "201000", "fetch.max.bytes": "200000", "message.max.bytes": "200000"}
    config = client_config.write(tmp_path / "small.config", kafka.bootstrap, consumer=limits)
    sender = Producer(
        {"bootstrap.servers": kafka.bootstrap, "compression.type": "zstd", "message.max.bytes": 10_000_000}
    )
    produce(kafka.bootstrap, topic, files(0, 0))
    sender.produce(topic, bytes(5_000_000), b"unpacked", 0)
    sender.flush()
    produce(kafka.bootstrap, topic, files(2, 2))
    text = download_once(target, config, topic, status=1)
    gap = "partition 0: offset 1 cannot be read and is skipped"
    assert gap in text
    assert set(contents(target)) == {b"f0", b"f2"}
    status, text = verify(target, config, topic)
    assert status == 1
    assert gap in text
    read = dfud.read_files(config, topic)
    assert [next(read).path, next(read).path] == ["f0", "f2"]
    with pytest.raises(dfud.DfudError, match=gap):
        next(read)
    produce(kafka.bootstrap, topic, [Record(b"sent", os.urandom(900_000), [])])
    with downloading(target, config, topic) as running:
        running.wait_for("a message is larger than receive.message.max.bytes allows; raise it")
        running.quit(status=1)
    status, text = verify(target, config, topic)
    assert status == 1
    assert "a message is larger than receive.message.max.bytes allows; raise it" in text
    with pytest.raises(dfud.DfudError, match="a message is larger than receive"):
        list(dfud.read_files(config, topic))
    produce(kafka.bootstrap, topic, files(3, 3))
    default = client_config.write(tmp_path / "kafka.config", kafka.bootstrap)
    download_once(target, default, topic)
    assert set(contents(target)) == {b"f0", b"f2", b"f3"}


# Rights


@contextmanager
def denied(admin: AdminClient, kind: ResourceType, name: str) -> Iterator[None]:
    """Forbid everybody to read a topic, or to use the groups whose names begin with `name`."""
    pattern = ResourcePatternType.PREFIXED if kind == ResourceType.GROUP else ResourcePatternType.LITERAL
    who_and_what = ("User:ANONYMOUS", "*", AclOperation.READ, AclPermissionType.DENY)
    for future in admin.create_acls([AclBinding(kind, name, pattern, *who_and_what)]).values():
        future.result(ANSWER_S)
    yield
    for future in admin.delete_acls([AclBindingFilter(kind, name, pattern, *who_and_what)]).values():
        future.result(ANSWER_S)


def test_a_right_that_is_taken_is_named_until_it_is_given_back(tmp_path: Path) -> None:
    target = tmp_path / "d"
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with KafkaNode(tmp_path / "kafka", heap_mb=256, properties=properties) as node:
        topic = create_topic(node.internal_bootstrap)
        admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})
        config = client_config.write(tmp_path / "kafka.config", node.bootstrap)
        with downloading(target, config, topic) as running:
            running.wait_for("downloading")
            with denied(admin, ResourceType.TOPIC, topic):
                running.wait_for(f"cannot read topic {topic}: its ACLs .* grant the operation Read on the topic")
            running.wait_for("works again")
            produce(node.bootstrap, topic, files(0, 0))
            wait_until((target / "f0").exists)
            with denied(admin, ResourceType.GROUP, "dfud-"):
                produce(node.bootstrap, topic, files(1, 1))
                running.wait_for("cannot commit offsets: its ACLs .* grant the operation Read on it")
                text = running.quit(status=1)
        assert text.count("cannot commit offsets") == 1
