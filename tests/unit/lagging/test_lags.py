"""Which of the uploaded files a receiver lacks, when they go, and which are lost, without a broker."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
import xxhash

from dfud.core.json_fields import time_text
from dfud.core.partitioner import murmur2_partition
from dfud.core.receipt import Receipt
from dfud.core.tables import CompletedRow, format_table
from dfud.core.version import FileVersion
from dfud.errors import UsageError
from dfud.lagging.lag import Basis, ReceiverLag, TopicLag
from dfud.lagging.lags import Places, by_offsets, by_tables
from dfud.lagging.received import Received
from dfud.lagging.report import text_report
from dfud.lagging.retention import PartitionView, Retention
from dfud.lagging.topic_view import Sample, TopicView
from dfud.lagging.uploaded import Unreceived, UploadedFile, UploadTables
from dfud.logs.layout import LogsFolder
from dfud.receipts.required import Required
from tests.helpers.releasing import FakeMessage

TOPIC, NOW_S = "T", 1_000_000.0
DIGEST = xxhash.xxh3_128_hexdigest(b"data")


def receipt(path: bytes, receiver: str = "archive", mtime_ns: int = 1, topic_id: str = "id") -> FakeMessage:
    made = Receipt(TOPIC, topic_id, receiver, path, 4, mtime_ns, DIGEST, time_text(10**18))
    return FakeMessage(made.key.encode(), made.encode())


def uploaded(path: bytes, at_s: float, mtime_ns: int = 1) -> UploadedFile:
    return UploadedFile(FileVersion(path, 4, mtime_ns), bytes.fromhex(DIGEST), 1, at_s - 1, at_s)


def row(path: str, at_s: float, mtime_ns: int = 1) -> CompletedRow:
    time = datetime.fromtimestamp(at_s, timezone.utc).isoformat()
    return CompletedRow(path, 4, mtime_ns, 1, 4, DIGEST, time, time)


def view(retention: Retention, *partitions: PartitionView, samples: tuple[Sample, ...] = ()) -> TopicView:
    return TopicView("id", retention, dict(enumerate(partitions)), samples, NOW_S)


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), TOPIC)
    folder.make()
    return folder


def write(folder: LogsFolder, path: str, *rows: CompletedRow) -> None:
    folder.replace(path, [format_table(CompletedRow, rows).encode()])


def test_only_the_last_version_of_a_path_has_to_be_received() -> None:
    received = Received(TOPIC, "id")
    received.add([receipt(b"a"), receipt(b"b"), receipt(b"old", topic_id="former"), FakeMessage(b"\x1b", b"x")])
    unreceived = Unreceived(received)
    for file in (uploaded(b"a", 1), uploaded(b"b", 2), uploaded(b"b", 3, mtime_ns=2), uploaded(b"old", 4)):
        unreceived.add(file)
    assert set(unreceived.files) == {b"b", b"old"}
    for path in received.add([receipt(b"b", mtime_ns=2), FakeMessage(receipt(b"a").key(), None)]):
        unreceived.on_receipt(path)
    assert set(unreceived.files) == {b"old"}
    assert received.n_damaged == 1
    unreceived.add(uploaded(b"a", 1))
    assert b"a" in unreceived.files  # that receipt was taken back


def test_names_that_somebody_made_up_do_not_fill_the_memory() -> None:
    received = Received(TOPIC)
    with pytest.raises(UsageError, match="more than 64 receivers"):
        received.add(receipt(b"a", f"name{number}") for number in range(65))
    named = Received(TOPIC, names=["archive"], others=False)
    named.add(receipt(b"a", f"name{number}") for number in range(65))
    assert named.receivers == ["archive"]


def test_two_of_any_receivers_are_enough() -> None:
    received = Received(TOPIC)
    unreceived = Unreceived(received, Required(number=2).is_met)
    unreceived.add(uploaded(b"a", 1))
    for name in ("one", "two"):
        assert b"a" in unreceived.files
        for path in received.add([receipt(b"a", name)]):
            unreceived.on_receipt(path)
    assert not unreceived.files


def test_tables_are_read_once_while_they_grow_and_are_merged(folder: LogsFolder) -> None:
    tables = UploadTables(folder)
    write(folder, folder.completed, row("a", 1), row("b", 2))
    write(folder, folder.shard(0, 1), row("c", 3), row("d", 50))
    write(folder, folder.shard(1, 1), row("c", 2.5, mtime_ns=2))
    assert [os.fsdecode(file.version.path) for file in tables.read(until_s=40)] == ["a", "b", "c", "c"]
    assert [file.version.path for file in tables.read(until_s=60)] == [b"d"]
    write(folder, folder.shard(0, 1), row("c", 3), row("d", 50), row("e", 55))
    assert [file.version.path for file in tables.read(until_s=60)] == [b"e"]
    assert list(tables.read()) == []
    write(folder, folder.completed, row("a", 1), row("f", 60))
    folder.unlink(folder.shard(0, 1))
    folder.unlink(folder.shard(1, 1))
    assert [file.version.path for file in tables.read()] == [b"a", b"f"]
    write(folder, folder.shard(0, 1), row("g", 70))
    os.symlink("elsewhere", folder.shard(1, 2))
    with pytest.raises(OSError, match=r"link"):
        list(tables.read())
    folder.unlink(folder.shard(1, 2))
    assert [file.version.path for file in tables.read()] == [b"a", b"f", b"g"]  # none is forgotten


def test_lost_is_what_its_partition_no_longer_has() -> None:
    paths = [b"p%d" % number for number in range(40)]
    files = [uploaded(path, 500) for path in paths]
    in_first = {path for path in paths if murmur2_partition(path, 2) == 0}
    samples = tuple(Sample(murmur2_partition(path, 2), 0, 600.0, 10, path, 1) for path in paths)
    partitions = PartitionView(10, 20, 600.0), PartitionView(0, 9, 500.0)
    by_key = view(Retention(600_000_000), *partitions, samples=samples)
    lag = by_tables("archive", "", files, by_key, Places(by_key), lambda _: {})
    assert (lag.n_files, lag.n_lost, lag.n_bytes) == (40, len(in_first), 160)
    assert lag.oldest not in in_first
    assert lag.left_s == pytest.approx(499 + 600_000 - NOW_S)
    # Where keys do not choose the partition, a file is lost only if it is nowhere.
    moved = tuple(each._replace(partition=1 - each.partition) for each in samples)
    unknown = view(Retention(), *partitions, samples=moved)
    lag = by_tables("archive", "", files, unknown, Places(unknown), lambda _: {})
    assert (lag.n_lost, lag.left_s) == (0, None)


def test_a_receiver_is_behind_by_the_messages_after_its_offsets() -> None:
    seen = view(
        Retention(3_600_000),
        PartitionView(50, 100, NOW_S - 1000),
        PartitionView(0, 30, NOW_S - 900),
        samples=(Sample(0, 99, NOW_S, 1000, b"a", 4),),
    )
    first = {0: Sample(0, 50, NOW_S - 1000, 1000, b"x\x1b", 4)}
    lag = by_offsets("archive", "", {0: 40, 1: 30}, seen, first)
    assert lag == ReceiverLag("archive", Basis.OFFSETS, "", 12, 50_000, b"x\x1b", 1000.0, 2600.0, 10)
    assert by_offsets("archive", "", {0: 100, 1: 30}, seen, {}) == ReceiverLag(
        "archive", Basis.OFFSETS, "", 0, 0, b"", None, None, 0
    )


def test_the_table_shows_names_without_harm_and_says_what_to_do() -> None:
    lags = (
        ReceiverLag("evil\x1b[2J\n", Basis.TABLES, "", 3, 10, b"a\x1b", 60.0, 30.0, 1),
        ReceiverLag("unknown", Basis.NOTHING),
    )
    text = "\n".join(text_report(TopicLag(TOPIC, Retention(90_000), lags), 60.0))
    assert "\x1b" not in text
    assert "evil\\x1b[2J\\n  3      10 bytes  60 s    30 s       1     never         a\\x1b" in text
    assert "may take what it has not received in 30 s; raise retention.ms of topic T" in text
    assert "unknown: how far it has read is not known" in text
