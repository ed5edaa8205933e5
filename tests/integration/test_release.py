"""Releases end to end: uploads, receipts, and what goes, with a real Kafka."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import xxhash

from dfud.broker.node import KafkaNode
from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.core.released import ReleasedRow, read_released
from tests.helpers.sent_receipts import send, send_receipts
from tests.helpers.uploading import WAIT_S, completed, upload_once, uploading, wait_until

RECEIVERS = ("archive:/copy", "analysis")


def release_words(directory: Path, config: Path, topic: str, receipts: str, *options: str) -> list[str]:
    words = ["release", str(directory), "--config", str(config), "--topic_name", topic, "--receipts", receipts]
    return [sys.executable, "-m", "dfud", *words, *options]


def release(*args: object, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run a release."""
    words = release_words(*args)  # type: ignore[arg-type]
    done = subprocess.run(words, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    return done


def receipt(topic: str, receiver: str, path: Path, directory: Path) -> Receipt:
    status, data = path.stat(), path.read_bytes()
    name = os.fsencode(path.relative_to(directory))
    digest = xxhash.xxh3_128_hexdigest(data)
    return Receipt(topic, "", receiver, name, len(data), status.st_mtime_ns, digest, time_text(time.time_ns()))


def files_in(directory: Path) -> list[bytes]:
    names = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(os.fsencode(name) for name in names if name.parts[0] != "LOGS")


def released_rows(directory: Path, topic: str) -> list[ReleasedRow]:
    table = directory / "LOGS" / f"released_from_{topic}.csv"
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return list(read_released(lines))


def test_what_both_receivers_have_goes_and_is_never_missed(
    directory: Path, kafka: KafkaNode, config_file: Path, topic: str, make_topic: object
) -> None:
    receipts = make_topic(3, cleanup_policy="compact")  # type: ignore[operator]
    names = [b"one", b"sub/odd \xff\x1b[2J\n", b"half", b"none"]
    for number, name in enumerate(names):
        path = Path(os.fsdecode(os.path.join(os.fsencode(directory), name)))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%d" % number * 50_000)
    time.sleep(0.1)
    upload_once(directory, config_file, topic)
    paths = [directory / os.fsdecode(name) for name in names]
    sent = [receipt(topic, receiver, path, directory) for receiver in RECEIVERS for path in paths[:2]]
    send_receipts(kafka.bootstrap, receipts, [*sent, receipt(topic, RECEIVERS[0], paths[2], directory)])
    send(kafka.bootstrap, receipts, [(b"no JSON \x1b", b"x"), (b"\xff", None), (sent[0].key.encode(), b"{}")])
    send_receipts(kafka.bootstrap, receipts, sent[:1])
    both = [word for name in RECEIVERS for word in ("--receivers", name)]
    common = directory, config_file, topic, receipts

    listed = release(*common, *both)
    assert len(files_in(directory)) == 4
    assert not (directory / "LOGS" / f"released_from_{topic}.csv").exists()
    assert b"would be deleted: one\n" in listed.stdout
    assert b"\x1b" not in listed.stdout + listed.stderr
    assert b"3 messages of topic" in listed.stderr
    assert b"2 receipts missing of analysis\n1 receipt missing of archive:/copy\n" in listed.stdout

    done = release(*common, *both, "--delete", "--yes", "--print0")
    assert sorted(done.stdout.split(b"\0")[:-1]) == sorted(names[:2])
    assert files_in(directory) == sorted(names[2:])
    assert [row.state for row in released_rows(directory, topic)] == ["releasing"] * 2 + ["released"] * 2
    assert release(*common, "--receivers", "1", "--to", str(directory.parent), "--yes").stdout
    assert (directory.parent / "half").read_bytes() == b"2" * 50_000
    assert files_in(directory) == [b"none"]
    assert "0 files" in upload_once(directory, config_file, topic, "--upload_existing")
    verified = subprocess.run(
        [sys.executable, "-m", "dfud", "verify", directory, "--config", config_file, "--topic_name", topic],
        capture_output=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout


def test_files_of_a_run_go_once_it_is_sealed(
    directory: Path, kafka: KafkaNode, config_file: Path, topic: str, make_topic: object
) -> None:
    receipts = make_topic(1, cleanup_policy="compact")  # type: ignore[operator]
    path = directory / "run7" / "a"
    path.parent.mkdir()
    path.write_bytes(b"data")
    time.sleep(0.1)
    upload_once(directory, config_file, topic, "--run_marker", "Done")
    send_receipts(kafka.bootstrap, receipts, [receipt(topic, "archive", path, directory)])
    options = ("--run_marker", "Done", "--receipts", receipts, "--receivers", "archive", "--release", "delete")
    assert "deleted" not in upload_once(directory, config_file, topic, *options)
    (directory / "run7" / "Done").touch()
    text = upload_once(directory, config_file, topic, *options)
    assert text.index("run run7 is sealed: 1 file") < text.index(
        "deleted 1 file, 4 bytes, which all receivers have"
    )
    assert files_in(directory) == [b"run7/Done"]


def test_whoever_rewrites_files_loses_none_while_releases_are_killed(
    directory: Path, kafka: KafkaNode, config_file: Path, topic: str, make_topic: object
) -> None:
    """An upload runs on the directory all the time, and takes everything that appears in it, hidden or not."""
    receipts = make_topic(2, cleanup_policy="compact")  # type: ignore[operator]
    source = random.Random(7)
    paths = [directory / f"f{number}" for number in range(400)]
    for path in paths:
        path.write_bytes(source.randbytes(200))
    time.sleep(0.1)
    received = {path: path.read_bytes() for path in paths}
    send_receipts(kafka.bootstrap, receipts, [receipt(topic, "archive", path, directory) for path in paths])
    words = release_words(directory, config_file, topic, receipts, "--receivers", "archive", "--delete", "--yes")
    written: dict[Path, bytes] = {}
    with uploading(directory, config_file, topic, "--upload_existing", "--upload_regex", ".*"):
        wait_until(lambda: len(completed(directory, topic)) == len(paths))
        for _ in range(6):
            running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until = time.monotonic() + source.uniform(1.0, 2.2)
            while time.monotonic() < until:
                path = source.choice(paths)
                data = source.randbytes(200)
                try:
                    rewrite(path, data, source.random() < 0.5)
                except FileNotFoundError:
                    continue
                written[path] = data
            running.kill()
            running.wait()
    release(directory, config_file, topic, receipts, "--receivers", "archive", "--delete", "--yes")
    for path in paths:
        if path in written:
            assert path.read_bytes() == written[path], path
        else:
            assert not path.exists(), path
            assert received[path]
    assert len(files_in(directory)) == len(written)
    rows = released_rows(directory, topic)
    released = [row.rel_filepath for row in rows if row.state == "released"]
    assert sorted(released) == sorted(path.name for path in paths if path not in written)


def rewrite(path: Path, data: bytes, puts_time_back: bool) -> None:
    """Write into a file that is there."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.write(data)
        file.flush()
        if puts_time_back:
            os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
