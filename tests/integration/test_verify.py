"""The verification end to end, on a real Kafka."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import download_once, native, openmsi, produce
from tests.helpers.uploading import WAIT_S, upload_once

NOW = 1_700_000_000_123_456_789
SIZES = {b"one": 1, b"empty": 0, b"sub/\xff odd\nname": 50_000, b"big": 300_000, b"exact": 16384}


def verify(directory: Path, config: Path, topic: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verification, and check that it writes nothing."""
    before = state(directory)
    args = ["verify", str(directory), "--config", str(config), "--topic_name", topic, *options]
    done = subprocess.run([sys.executable, "-m", "dfud", *args], capture_output=True, timeout=WAIT_S, check=False)
    assert state(directory) == before
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def state(directory: Path) -> list[tuple[str, int, int]]:
    """Return the paths below a directory, LOGS included, with sizes and times."""
    entries = []
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        entries.append((str(path), status.st_size, status.st_mtime_ns))
    return entries


@pytest.fixture
def source(tmp_path: Path, config_file: Path, topic: str) -> Path:
    """A directory that is uploaded to the topic."""
    directory = tmp_path / "source"
    generator = random.Random(1)
    for name, size in SIZES.items():
        path = os.path.join(os.fsencode(directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(generator.randbytes(size))
    upload_once(directory, config_file, topic)
    return directory


def verdicts(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    return {each["path"]: each["status"] for each in json.loads(done.stdout)["files"]}


def test_what_was_uploaded_is_proved(source: Path, config_file: Path, topic: str, tmp_path: Path) -> None:
    done = verify(source, config_file, topic, "--json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert verdicts(done) == {os.fsdecode(name): "same" for name in SIZES}
    assert report["summary"]["rows"] == len(SIZES)
    assert report["summary"]["proved"] is True
    done = verify(source, config_file, topic, "--print0")
    assert set(done.stdout.split(b"\0")) == {*SIZES, b""}
    download_once(tmp_path / "copy", config_file, topic)
    assert verify(tmp_path / "copy", config_file, topic).returncode == 0


@pytest.mark.parametrize("position", [0, 20_000, 299_999])
def test_one_flipped_byte_is_found(source: Path, config_file: Path, topic: str, position: int) -> None:
    path = source / "big"
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = verify(source, config_file, topic)
    assert done.returncode == 1
    assert b"differs: big" in done.stdout
    assert b"4 same, 1 differs" in done.stdout
    done = verify(source, config_file, topic, "--print0")
    assert set(done.stdout.split(b"\0")) == {*SIZES, b""} - {b"big"}


def test_files_that_are_new_changed_or_removed(source: Path, config_file: Path, topic: str) -> None:
    (source / "new").write_bytes(b"new")
    (source / "one").write_bytes(b"grown")
    (source / "big").unlink()  # it is compared by its digest in the tables
    (source / ".hidden").write_bytes(b"not to be uploaded")
    done = verify(source, config_file, topic, "--json")
    assert done.returncode == 1, done.stdout
    assert json.loads(done.stdout)["summary"]["rows_wrong"] == 0
    assert verdicts(done) == {
        "new": "missing", "one": "differs", "empty": "same", "exact": "same",
        os.fsdecode(b"sub/\xff odd\nname"): "same",
    }  # fmt: skip


def test_a_recorded_upload_that_is_not_on_the_topic(source: Path, config_file: Path, topic: str) -> None:
    (table,) = (source / "LOGS").glob("uploaded_to_*.csv")
    rows = table.read_bytes().splitlines(keepends=True)
    digest = next(row for row in rows if row.startswith(b"big,")).split(b",")[5]
    (source / "big").unlink()
    table.write_bytes(b"".join(rows).replace(digest, b"0" * 32))
    done = verify(source, config_file, topic)
    assert done.returncode == 1
    assert b"big is recorded as uploaded, but the topic has other bytes of this version" in done.stdout


def test_chunks_that_are_missing_are_named(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    directory = tmp_path / "source"
    directory.mkdir()
    data = os.urandom(10_500)
    for name in ("part", "wrong", "msi", "order"):
        (directory / name).write_bytes(data)
        os.utime(directory / name, ns=(NOW, NOW))
    records = native(b"part", data, NOW)
    del records[3:5]
    bad = native(b"wrong", data, NOW)
    records += bad[:2] + native(b"wrong", data[::-1], NOW)[2:3] + bad[3:]
    records += openmsi(b"msi", data, 1.7e9, 1000, 4)
    records += native(b"order", data, NOW)[::-1]
    produce(kafka.bootstrap, topic, records)
    done = verify(directory, config_file, topic)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert "incomplete: part; chunks 4-5 are missing" in lines
    assert any(line.startswith("differs: wrong") for line in lines)
    assert "2 same, 1 differs, 0 missing, 1 incomplete; recorded uploads on the topic: 0 of 0" in lines


def test_chunks_out_of_order_of_a_file_that_was_removed(
    source: Path, config_file: Path, kafka: KafkaNode, make_topic: object
) -> None:
    topic = make_topic(1)  # type: ignore[operator]
    data = (source / "big").read_bytes()
    mtime_ns = (source / "big").stat().st_mtime_ns
    records = native(b"big", data, mtime_ns, 16384)
    produce(kafka.bootstrap, topic, records[10:] + records[:10] + records[5:12])
    (table,) = (source / "LOGS").glob("uploaded_to_*.csv")
    rows = table.read_text(errors="surrogateescape").splitlines()
    row = next(row for row in rows if row.startswith("big,"))
    (source / "LOGS" / f"uploaded_to_{topic}.csv").write_text(f"{rows[0]}\r\n{row}\r\n")
    (source / "big").unlink()
    done = verify(source, config_file, topic)
    assert b"recorded uploads on the topic: 1 of 1" in done.stdout
    assert done.returncode == 1, "the other files are not on this topic"


@pytest.mark.parametrize("options", [("--json", "--print0"), ("--n_threads", "0")])
def test_bad_usage(tmp_path: Path, config_file: Path, options: tuple[str, ...]) -> None:
    done = verify(tmp_path, config_file, "some_topic", *options)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
