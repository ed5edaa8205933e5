"""Several downloads that share a topic by a consumer group: each file arrives at one of them, and none is lost."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import xxhash
from confluent_kafka import Consumer

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.downloading.commit_metadata import Progress
from dfud.downloading.group_assignment import GroupAssignment, member_properties
from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader
from tests.helpers.downloading import Record, contents, download_once, downloading, native, openmsi, produce
from tests.helpers.receipts import receipts_on
from tests.helpers.uploading import Upload, wait_until

_MEMBER = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}  # so that a rebalance takes no seconds


@pytest.fixture
def config(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration with which members of a group notice one another soon."""
    return client_config.write(tmp_path / "shared.config", kafka.bootstrap, consumer=_MEMBER)


@contextmanager
def _sharing(directories: list[Path], config: Path, topic: str, *options: object) -> Iterator[list[Upload]]:
    """A download to each of `directories`, all in one group of this topic's own."""
    group = ("--consumer_group_id", f"shared-{topic}", "--n_threads", "1")
    with ExitStack() as stack:
        yield [
            stack.enter_context(downloading(directory, config, topic, *group, *options))
            for directory in directories
        ]


def _directories(tmp_path: Path, number: int) -> list[Path]:
    return [tmp_path / f"copy{n}" for n in range(number)]


def _arrived(directories: list[Path]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for directory in directories:
        if directory.exists():
            found.update(contents(directory))
    return found


def _repeated(directories: list[Path]) -> list[bytes]:
    paths = Counter(itertools.chain.from_iterable(contents(directory) for directory in directories))
    return [path for path, count in paths.items() if count > 1]


def _files(number: int, partitions: int, seed: int) -> tuple[dict[bytes, bytes], list[list[Record]]]:
    """Return files and, for each, its messages; every third file is OpenMSIStream's, over all partitions."""
    rng = random.Random(seed)
    files, records = {}, []
    for n in range(number):
        path, data = b"day%d/scan%d" % (n % 3, n), rng.randbytes(rng.choice([10, 2_500, 20_000]))
        files[path] = data
        made = native(path, data, 10**18 + n, partition=n % partitions)
        records.append(made if n % 3 else openmsi(path, data, 1e9 + n, partitions=partitions))
    return files, records


def _interleaved(records: list[list[Record]], seed: int) -> list[Record]:
    """Return all messages, those of ten files at a time mixed, each file's own in their order."""
    rng = random.Random(seed)
    queues, mixed = [list(each) for each in records], []
    while queues:
        queue = queues[rng.randrange(min(10, len(queues)))]
        mixed.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return mixed


def test_each_file_arrives_whole_at_one_of_several(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    files, records = _files(90, 4, 1)
    messages = _interleaved(records, 1)
    directories = _directories(tmp_path, 3)
    options = "--receipts", f"{topic}-receipts", "--receiver", "all of them"
    with ExitStack() as stack:
        first = stack.enter_context(_sharing(directories[:1], config, topic, *options))
        more = stack.enter_context(_sharing(directories[1:], config, topic, *options))
        produce(kafka.bootstrap, topic, messages)  # while partitions pass from the first to those that join
        wait_until(lambda: len(_arrived(directories)) == len(files))
        for running in [*first, *more]:
            running.quit()
    assert _arrived(directories) == files
    assert not _repeated(directories)
    receipts = receipts_on(kafka.bootstrap, f"{topic}-receipts")
    assert {(receiver, path): each.xxh3_128 for (receiver, path), each in receipts.items()} == {
        ("all of them", path): xxhash.xxh3_128_hexdigest(data) for path, data in files.items()
    }


def test_what_a_killed_member_had_in_part_is_completed_by_another(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    data = random.Random(2).randbytes(8_000)
    halves = [native(b"part%d" % n, data, 10**18, partition=n) for n in range(4)]
    halves += [openmsi(b"spread%d" % n, data, 1e9, partitions=4) for n in range(4)]
    directories = _directories(tmp_path, 2)
    with _sharing(directories, config, topic) as (killed, other):
        produce(kafka.bootstrap, topic, [record for each in halves for record in each[:5]])
        for running in (killed, other):
            running.wait_for(r"[1-9]\d* messages? read")
        killed.kill()
        produce(kafka.bootstrap, topic, [record for each in halves for record in each[5:]])
        wait_until(lambda: len(contents(directories[1])) == len(halves))
        assert set(contents(directories[1]).values()) == {data}
        other.quit()


def test_all_that_is_there_is_read_once_by_runs_that_end(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    files, records = _files(60, 4, 3)
    produce(kafka.bootstrap, topic, _interleaved(records, 3))
    directories = _directories(tmp_path, 3)
    with _sharing(directories, config, topic, "--once") as members:
        for running in members:
            status, text = running.end()
            assert status == 0, text
    assert _arrived(directories) == files
    assert not _repeated(directories)


def test_a_later_run_begins_where_the_group_ended(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    group = ("--consumer_group_id", f"shared-{topic}", "--once")
    produce(kafka.bootstrap, topic, native(b"first", b"a", 10**18))
    download_once(tmp_path / "one", config, topic, *group)
    produce(kafka.bootstrap, topic, native(b"second", b"b", 10**18))
    download_once(tmp_path / "two", config, topic, *group)
    assert contents(tmp_path / "one") == {b"first": b"a"}
    assert contents(tmp_path / "two") == {b"second": b"b"}


def test_a_file_of_openmsistream_is_found_however_far_its_chunks_lie_apart(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    data = random.Random(4).randbytes(4_000)
    first, *rest = openmsi(b"late", data, 1e9, partitions=4)
    produce(kafka.bootstrap, topic, rest)
    produce(kafka.bootstrap, topic, native(b"between", data, 10**18))
    produce(kafka.bootstrap, topic, [first])
    download_once(tmp_path / "copy", config, topic, "--consumer_group_id", f"shared-{topic}")
    assert contents(tmp_path / "copy") == {b"late": data, b"between": data}


def test_a_file_that_is_incomplete_makes_every_member_end_with_1(
    tmp_path: Path, kafka: KafkaNode, topic: str, config: Path
) -> None:
    produce(kafka.bootstrap, topic, [*native(b"whole", b"w", 10**18), *native(b"half", b"h" * 3_000, 10**18)[:2]])
    group = ("--consumer_group_id", f"shared-{topic}", "--once")
    text = download_once(tmp_path / "one", config, topic, *group, status=1)
    assert "half is incomplete: 2000 of 3000 bytes received" in text
    produce(kafka.bootstrap, topic, native(b"half", b"h" * 3_000, 10**18)[2:])
    download_once(tmp_path / "two", config, topic, *group)
    assert contents(tmp_path / "two") == {b"half": b"h" * 3_000}


def test_nobody_waits_for_a_member_that_reads_nothing(kafka: KafkaNode, topic: str) -> None:
    produce(kafka.bootstrap, topic, [native(b"f%d" % n, b"f", 10**18, partition=n)[0] for n in range(4)])
    properties = member_properties({"bootstrap.servers": kafka.bootstrap, "group.id": topic, **_MEMBER})
    idle, consumer = Consumer(properties), Consumer({**properties, "enable.partition.eof": True})
    now = 0.0
    reader = PartitionReader(consumer, topic)
    settings = FetchSettings("", "", topic, properties, 1, {}, "", "id", True)
    own: dict[int, Progress] = {}

    def revoke(partitions: set[int], _is_lost: bool) -> None:
        for number in partitions:
            own.pop(number, None)

    assignment = GroupAssignment(consumer, reader, settings, own.update, revoke, lambda: now)
    idle.subscribe([topic])

    def share() -> bool:
        idle.poll(0.05)
        assignment.update()
        consumer.poll(0.05)
        return len(own) == 2

    wait_until(share)
    assert not assignment.is_complete
    now += 61
    assert assignment.is_complete
    assert set(assignment.unfinished_elsewhere) == {0, 1, 2, 3} - set(own)
    idle.close()
    consumer.close()
