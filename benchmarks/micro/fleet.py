"""How long `dfud fleet` takes: python -m benchmarks.micro.fleet [UPLOADS [HEARTBEATS [RECEIPTS]]].

It starts a Kafka, and sends as many HEARTBEATS of each upload as there are in a day (96), and as many RECEIPTS of
each topic by two receivers (100). Then it runs the command, on one core: its table, its page, its metrics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dfud.announcing.heartbeat_format import Counts, encode
from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.logs.upload_status import (
    Acknowledged,
    Backlog,
    BrokerStatus,
    Completed,
    Failures,
    OldestFile,
    Rates,
    Recording,
    UploadStatus,
)

HEARTBEATS, RECEIPTS = "heartbeats", "receipts"
_INTERVAL_S = 900.0
_RECEIVERS = ("archive:/copy", "analysis")
_PARTITIONS = 4


def status_of(number: int, at_s: float, is_last: bool) -> UploadStatus:
    """Return what the upload of this number says; of every hundred, some are in trouble."""
    at = datetime.fromtimestamp(at_s, timezone.utc).isoformat(timespec="milliseconds")
    waiting = number % 7 == 0
    kind = number % 100
    ended = is_last and kind in (1, 2)
    return UploadStatus(
        version="0.1.0",
        topic=f"instrument_{number:04}",
        directory=f"/data/instrument_{number:04}",
        host=f"acquisition-{number // 10:03}.example.org",
        pid=1000 + number,
        state="ended" if ended else "running",
        once=False,
        exit_status=kind - 1 if ended else None,
        started=at,
        written=at,
        broker=BrokerStatus("unreachable", "Connection refused", at, at)
        if kind == 3
        else BrokerStatus("reachable", "", at, at),
        completed=Completed(12_345 + number, 12_345 + number, 10**11),
        acknowledged=Acknowledged(10**11, 10**7),
        rates=Rates(12.5, 3e6, 190.0, 60.0),
        backlog=Backlog(number, number, number * 10**6, number * 62) if waiting else Backlog(),
        oldest=OldestFile(f"scan_{number}/image_000017.h5", at, 4_000.0 if kind == 7 else 3.5)
        if waiting
        else None,
        failures=Failures(failed=2) if kind == 5 else Failures(),
        recording=Recording(free_bytes=5 * 10**7 if kind == 6 else 4 * 10**11),
    )


def send_heartbeats(producer: Producer, n_uploads: int, n_each: int, now_s: float) -> int:
    """Send the heartbeats of a day; two of every hundred uploads have gone without a word. Return the bytes."""
    size = 0
    for at in range(n_each):
        for number in range(n_uploads):
            silent_s = 3 * 3600 if number % 100 in (8, 9) else 0
            at_s = now_s - silent_s - (n_each - 1 - at) * _INTERVAL_S - number % 600
            status = status_of(number, at_s, at == n_each - 1)
            value = encode(Counts(status.written, 100, 10**6), status, _INTERVAL_S)
            key = f"{status.host}:{status.directory}:{status.topic}_heartbeat".encode()
            _produce(producer, HEARTBEATS, value, key, int(at_s * 1000))
            size += len(value)
    producer.flush()
    return size


def send_receipts(producer: Producer, n_uploads: int, n_each: int, now_s: float) -> None:
    """Send receipts of so many files of each topic, by two receivers."""
    time_ns = int(now_s * 1e9)
    for number in range(n_uploads):
        for at in range(n_each):
            for receiver in _RECEIVERS:
                path = f"scan_{at}/image_{at:06}.h5".encode()
                topic = f"instrument_{number:04}"
                receipt = Receipt(topic, "", receiver, path, 10**7, at, "0" * 32, time_text(time_ns - at * 10**9))
                key, value = receipt.message()
                _produce(producer, RECEIPTS, value, key, int(now_s * 1000))
    producer.flush()


def _produce(producer: Producer, topic: str, value: bytes, key: bytes, time_ms: int) -> None:
    while True:
        try:
            producer.produce(topic, value, key, timestamp=time_ms)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def fill(bootstrap: str, n_uploads: int, n_heartbeats: int, n_receipts: int) -> int:
    """Make both topics, and send to them; return the bytes of the heartbeats."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [
        NewTopic(HEARTBEATS, _PARTITIONS, 1),
        NewTopic(RECEIPTS, _PARTITIONS, 1, config={"cleanup.policy": "compact"}),
    ]
    for made in admin.create_topics(topics).values():
        made.result(15)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "partitioner": "murmur2_random"})
    now_s = time.time()
    size = send_heartbeats(producer, n_uploads, n_heartbeats, now_s)
    send_receipts(producer, n_uploads, n_receipts, now_s)
    return size


def measure(config: Path, *options: str) -> tuple[float, float, int, bytes]:
    """Run the command on one core; return its seconds, those of CPU, its memory (MB) and its output."""
    words = ["fleet", "--config", str(config), "--heartbeat_topic_name", HEARTBEATS, *options]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dfud", *words],
            stdout=output,
            preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),  # noqa: PLW1509 - one thread
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"dfud fleet ended with {process.returncode}")
        output.seek(0)
        return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1000, output.read()


def main(n_uploads: int = 1_000, n_heartbeats: int = 96, n_receipts: int = 100) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder, KafkaNode(Path(folder) / "kafka") as kafka:
        config = client_config.write(Path(folder) / "kafka.config", kafka.bootstrap)
        size = fill(kafka.bootstrap, n_uploads, n_heartbeats, n_receipts)
        print(
            f"{n_uploads:,} uploads, {n_uploads * n_heartbeats:,} heartbeats ({size / 1e6:.0f} MB), "
            f"{2 * n_uploads * n_receipts:,} receipts"
        )
        for what, options in (
            ("table", ()),
            ("table, with receipts", ("--receipts", RECEIPTS)),
            ("page, with receipts", ("--receipts", RECEIPTS, "--html", "-")),
            ("metrics, with receipts", ("--receipts", RECEIPTS, "--metrics_file", "-")),
            ("JSON, with receipts", ("--receipts", RECEIPTS, "--json")),
        ):
            seconds, cpu_s, memory_mb, output = measure(config, *options)
            print(f"{what:22}  {seconds:6.2f} s  {cpu_s:6.2f} s of CPU  {memory_mb:5} MB  {len(output):12,} bytes")
            if "--json" in options:
                assert len(json.loads(output)["uploads"]) == n_uploads


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
