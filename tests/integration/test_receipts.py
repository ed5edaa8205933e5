"""Receipts of a download, as a receiver sends them and others read them, with a real Kafka."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
from confluent_kafka.admin import AdminClient

import dfud
from dfud.broker.node import KafkaNode
from dfud.core.receipt import Receipt
from tests.helpers.downloading import contents, download_once, downloading, native, openmsi, produce
from tests.helpers.receipts import receipts_on
from tests.helpers.topics import make_anew
from tests.helpers.uploading import wait_until

NOW = 1_700_000_000_123_456_789
TIMEOUT_S = 20.0


def assert_each_file_has_its_receipt(target: Path, found: dict[tuple[str, bytes], Receipt], receiver: str) -> None:
    """Assert that there is a receipt of each file that is there, and of nothing else, and that it is right."""
    there = contents(target)
    assert {path for name, path in found if name == receiver} == set(there)
    for path, data in there.items():
        receipt = found[receiver, path]
        status = os.stat(os.path.join(os.fsencode(target), path))
        assert (receipt.size, receipt.xxh3_128) == (len(data), xxhash.xxh3_128_hexdigest(data))
        assert receipt.mtime_ns == status.st_mtime_ns


def test_a_receiver_that_is_killed_again_and_again_owes_no_receipt_in_the_end(
    tmp_path: Path, kafka: KafkaNode, config_file: Path, topic: str
) -> None:
    source = random.Random(3)
    target, receipts = tmp_path / "target", f"{topic}-receipts"
    options = "--receipts", receipts, "--receiver", "archive", "--receipt_sha256"
    for turn in range(3):
        records = [
            record
            for number in range(60)
            for record in native(b"f%d/\xff\x1b" % number, source.randbytes(source.randrange(4_000)), NOW + turn)
        ]
        for number in range(5):
            records += openmsi(b"o%d.%d" % (turn, number), source.randbytes(3_500), 1.5, partitions=4)
        produce(kafka.bootstrap, topic, records)
        with downloading(target, config_file, topic, *options) as running:
            running.wait_for("downloading topic")
            time.sleep(source.random() * 2.5)
            running.kill()
    assert "Traceback" not in download_once(target, config_file, topic, *options)
    found = receipts_on(kafka.bootstrap, receipts)
    assert len(found) == 60 + 15
    assert_each_file_has_its_receipt(target, found, "archive")
    assert all(len(receipt.sha256) == 64 for receipt in found.values())
    # Another receiver, and one whose receipts are lost, send those of all files that are there.
    text = download_once(target, config_file, topic, "--receipts", receipts, "--receiver", "other")
    assert "receipts of 75 files of earlier runs are on topic" in text
    make_anew(AdminClient({"bootstrap.servers": kafka.bootstrap}), receipts)
    text = download_once(target, config_file, topic, "--receipts", receipts, status=2)
    assert f"topic {receipts} has cleanup.policy = delete: receipts would vanish from it" in text
    assert_each_file_has_its_receipt(target, found, "archive")


def test_a_topic_of_receipts_that_is_deleted_during_a_run_gets_all_of_them_again(
    tmp_path: Path, kafka: KafkaNode, config_file: Path, make_topic: Callable[..., str]
) -> None:
    topic, receipts = make_topic(), make_topic(cleanup_policy="compact")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    produce(kafka.bootstrap, topic, native(b"early", b"1" * 2_500, NOW))
    target = tmp_path / "target"
    with downloading(target, config_file, topic, "--receipts", receipts, "--receiver", "archive") as running:
        wait_until(lambda: len(receipts_on(kafka.bootstrap, receipts)) == 1)
        admin.delete_topics([receipts])[receipts].result(TIMEOUT_S)
        produce(kafka.bootstrap, topic, native(b"late", b"2" * 2_500, NOW))
        running.wait_for("sending all receipts again")
        running.wait_for("of earlier runs are on topic")
        wait_until(lambda: len(receipts_on(kafka.bootstrap, receipts)) == 2)
        running.quit()
    assert_each_file_has_its_receipt(target, receipts_on(kafka.bootstrap, receipts), "archive")


def test_a_program_sends_receipts_of_what_it_has_read(
    tmp_path: Path, kafka: KafkaNode, config_file: Path, make_topic: Callable[..., str]
) -> None:
    topic, receipts = make_topic(), make_topic(cleanup_policy="compact")
    produce(kafka.bootstrap, topic, native(b"f\xff", b"1" * 2_500, NOW) + openmsi(b"g", b"2" * 2_500, 1.5))
    with dfud.Receipts(config_file, receipts, topic, "analysis", receipt_sha256=True) as sent:
        for file in dfud.read_files(config_file, topic):
            sent.send(file)
            assert len(file.file.read()) == file.size
    found = receipts_on(kafka.bootstrap, receipts)
    assert set(found) == {("analysis", b"f\xff"), ("analysis", b"g")}
    for (_, path), data in zip(sorted(found), (b"1" * 2_500, b"2" * 2_500)):
        assert found["analysis", path].xxh3_128 == xxhash.xxh3_128_hexdigest(data)
        assert found["analysis", path].sha256 == hashlib.sha256(data).hexdigest()
    with pytest.raises(dfud.UsageError, match=r"cleanup\.policy = delete"):
        dfud.Receipts(config_file, topic, topic, "analysis")
