"""How far receivers are behind, with a real Kafka: by the tables of an upload, and by the offsets of downloads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import xxhash

from dfud.broker.node import KafkaNode
from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.kafka.config import read_config
from dfud.kafka.properties import consumer_properties
from dfud.lagging.lag import Basis, ReceiverLag
from dfud.lagging.receiver_lags import receiver_lags
from dfud.lagging.retention_watch import RetentionWatch
from dfud.logs.layout import LogsFolder
from dfud.receipts.required import Required
from tests.helpers.downloading import download_once
from tests.helpers.sent_receipts import send_receipts
from tests.helpers.topics import delete_before
from tests.helpers.uploading import WAIT_S, upload_once

ODD = b"late/odd \xff\x1b[2J\n"


def receipt(topic: str, receiver: str, path: Path, directory: Path) -> Receipt:
    status, name = path.stat(), os.fsencode(path.relative_to(directory))
    digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
    return Receipt(
        topic, "", receiver, name, status.st_size, status.st_mtime_ns, digest, time_text(time.time_ns())
    )


def write(directory: Path, names: list[bytes], size: int) -> None:
    for name in names:
        path = os.path.join(os.fsencode(directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(os.urandom(size))


def test_what_is_not_received_is_counted_and_timed(
    directory: Path, tmp_path: Path, kafka: KafkaNode, config_file: Path, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(3, retention_ms=3_600_000)
    receipts = make_topic(2, cleanup_policy="compact")
    properties = consumer_properties(read_config(str(config_file), "consumer"), "test")

    def lags(names: list[str], folder: LogsFolder | None = None) -> dict[str, ReceiverLag]:
        found = receiver_lags([topic], receipts, properties, str(config_file), names, folder)[topic]
        assert found.warnings == ()
        return {each.receiver: each for each in found.receivers}

    write(directory, [b"early/%d" % number for number in range(20)], 50_000)
    upload_once(directory, config_file, topic)
    download_once(tmp_path / "copy", config_file, topic, "--receipts", receipts, "--receiver", "archive")
    late = {*(b"late/%d" % number for number in range(30)), ODD}
    write(directory, sorted(late), 100_000)
    before_s = time.time()
    upload_once(directory, config_file, topic)

    folder = LogsFolder(str(directory), topic)
    exact = lags(["other"], folder)
    assert (exact["archive"].basis, exact["archive"].n_files, exact["archive"].n_bytes) == (
        Basis.TABLES, 31, 3_100_000,
    )  # fmt: skip
    assert (exact["other"].n_files, exact["other"].n_bytes, exact["other"].last_receipt) == (51, 4_100_000, "")
    estimated = lags(["other"])
    assert (estimated["archive"].basis, estimated["other"].basis) == (Basis.OFFSETS, Basis.NOTHING)
    # A file of 100 kB has seven messages, the others have four.
    assert 25 <= (estimated["archive"].n_files or 0) <= 62
    assert 2_500_000 <= (estimated["archive"].n_bytes or 0) <= 4_000_000
    for lag in (exact["archive"], estimated["archive"]):
        age_s = time.time() - before_s
        assert lag.oldest.startswith(b"late/")
        assert 0 <= (lag.age_s or 0) <= age_s
        assert 3_600 - age_s <= (lag.left_s or 0) <= 3_600
        assert lag.n_lost == 0

    required = Required(frozenset(["archive"]))
    watch = RetentionWatch(folder, receipts, required, 7_200.0, properties, str(config_file), rows_are_late_s=0)
    risks = watch.look()
    assert ({file.version.path for file in risks.due}, risks.lost) == (late, [])
    assert 3_590 - (time.time() - before_s) <= risks.left_s <= 3_600
    for number in range(3):
        delete_before(kafka, topic, -1, number)
    risks = watch.look()
    assert (risks.due, {file.version.path for file in risks.lost}) == ([], late)
    assert lags([], folder)["archive"].n_lost == 31
    assert lags([])["archive"].n_lost == 31 * 7
    words = [sys.executable, "-m", "dfud", "lag", str(directory), "--config", str(config_file)]
    words += ["--topic_name", topic, "--receipts", receipts]
    done = subprocess.run(words, capture_output=True, timeout=WAIT_S, check=False, text=True)
    assert done.returncode == 1, done.stderr
    assert "\narchive   31     3.1 MB  -       -          31" in done.stdout
    assert "archive: 31 files are no longer on the topic, and were not received" in done.stdout
    assert done.stderr == ""
    received = [receipt(topic, "archive", directory / os.fsdecode(path), directory) for path in late]
    send_receipts(kafka.bootstrap, receipts, received)
    risks = watch.look()
    assert (risks.due, risks.lost, risks.lags[0].n_files) == ([], [], 0)


def test_json_has_the_same(
    directory: Path, tmp_path: Path, kafka: KafkaNode, config_file: Path, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1, retention_bytes=50_000)
    receipts = make_topic(1, cleanup_policy="compact")
    write(directory, [ODD], 100_000)
    upload_once(directory, config_file, topic)
    words = [sys.executable, "-m", "dfud", "lag", str(directory), "--config", str(config_file)]
    words += ["--topic_name", topic, "--receipts", receipts, "--receivers", "archive", "--json"]
    done = subprocess.run(words, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 1, done.stderr
    (receiver,) = json.loads(done.stdout)["receivers"]
    assert os.fsencode(receiver["oldest"]) == ODD
    assert (receiver["files"], receiver["bytes"], receiver["left_s"], receiver["is_due"]) == (1, 100_000, 0, True)
