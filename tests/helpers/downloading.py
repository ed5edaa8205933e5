"""Run the download as a user would, and make messages of every kind by the description of the formats alone."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import xxhash
from confluent_kafka import KafkaError, Message, Producer

from tests.helpers.uploading import Upload


class Record(NamedTuple):
    """A message to be produced."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int = 0


def command(directory: Path, config: Path, topic: str, *options: object) -> list[str]:
    """Return the command line of a download."""
    words = ["download", directory, "--config", config, "--topic_name", topic, *options]
    return [sys.executable, "-m", "dfud", *map(str, words)]


@contextmanager
def downloading(directory: Path, config: Path, topic: str, *options: object) -> Iterator[Upload]:
    """A download that runs, and is killed at the end if it still does."""
    running = Upload(command(directory, config, topic, *options))
    try:
        yield running
    finally:
        running.close()


def download_once(directory: Path, config: Path, topic: str, *options: object, status: int = 0) -> str:
    """Download what is on the topic; return all output."""
    with downloading(directory, config, topic, "--once", *options) as running:
        ended, text = running.end()
    assert ended == status, text
    assert "Traceback" not in text, text
    return text


def native(
    path: bytes, data: bytes, mtime_ns: int, chunk_size: int = 1000, partition: int = 0, **changed: bytes
) -> list[Record]:
    """Return the native messages of a file, with headers changed in each."""
    parts = [data[at : at + chunk_size] for at in range(0, len(data), chunk_size)] or [b""]
    made = []
    for number, part in enumerate(parts, 1):
        headers = {
            "upload_id": xxhash.xxh3_64_hexdigest(b"%s\0%d\0%d" % (path, len(data), mtime_ns)).encode(),
            "chunk": b"%d/%d" % (number, len(parts)),
            "offset": b"%d" % ((number - 1) * chunk_size),
            "size": b"%d" % len(data),
            "mtime_ns": b"%d" % mtime_ns,
            "xxh3_64": xxhash.xxh3_64_hexdigest(part).encode(),
        }
        if number == len(parts):
            headers["xxh3_128"] = xxhash.xxh3_128_hexdigest(data).encode()
        made.append(Record(path, part, list({**headers, **changed}.items()), partition))
    return made


def openmsi(
    path: bytes, data: bytes, mtime: float | None, chunk_size: int = 1000, partitions: int = 1
) -> list[Record]:
    """Return the messages that OpenMSIStream has for a file, dealt out to the partitions."""
    folder, _, name = path.decode().rpartition("/")
    whole = hashlib.sha512(data).digest()
    parts = [data[at : at + chunk_size] for at in range(0, len(data), chunk_size)]
    made = []
    for number, part in enumerate(parts, 1):
        items: list[object] = [
            name, whole, hashlib.sha512(part).digest(), (number - 1) * chunk_size, number, len(parts), folder, "",
            part,
        ]  # fmt: skip
        if mtime is not None:
            items.append(mtime)
        key = f"{folder.replace('/', '_')}_{name}_chunk_{number}_of_{len(parts)}".encode()
        made.append(Record(key, msgspec.msgpack.encode(items), [], number % partitions))
    return made


def produce(bootstrap: str, topic: str, records: Iterable[Record]) -> None:
    """Put messages on a topic in their order, and wait until they are there."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "enable.idempotence": True})
    errors: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            errors.append(error)

    for key, value, headers, partition in records:
        while True:
            try:
                producer.produce(topic, value, key, partition, headers=[*headers], on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not errors, errors


def contents(directory: Path) -> dict[bytes, bytes]:
    """Return the bytes of all files below a directory by relative path, but for LOGS."""
    top = os.fsencode(directory)
    found = {}
    for folder, folders, names in os.walk(top):
        if folder == top and b"LOGS" in folders:
            folders.remove(b"LOGS")
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = file.read()
    return found


def leftovers(directory: Path, topic: str) -> list[str]:
    """Return what is left in the folder of parts, but for the notes of what was read."""
    return sorted(set(os.listdir(directory / "LOGS" / f"download_from_{topic}")) - {".lock", "groups"})
