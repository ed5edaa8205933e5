"""Files that change behind their size and time, or that cannot be read: sent whole, or named; a real Kafka."""

from __future__ import annotations

import mmap
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import download_once
from tests.helpers.leases import leased
from tests.helpers.uploading import (
    WAIT_S,
    Upload,
    assert_all_there,
    command,
    completed,
    files_on,
    in_progress,
    tree,
    upload_once,
    uploading,
    wait_until,
)

TIME_NS = 1_700_000_000_123_456_789
LEASE_BREAK = Path("/proc/sys/fs/lease-break-time")
FRAME_SENT = r"frame: (all \d+ chunks|1 chunk) acknowledged"
# Root without its right to read everything.
NO_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")


@pytest.fixture
def assert_on_topic(directory: Path, config_file: Path, topic: str, tmp_path: Path) -> Callable[[], None]:
    """Check that the directory is on the topic: a download gives the same files, and `dfud verify` agrees."""

    def check() -> None:
        download_once(tmp_path / "copy", config_file, topic)
        assert tree(tmp_path / "copy") == tree(directory)
        words = ["verify", str(directory), "--config", str(config_file), "--topic_name", topic]
        done = subprocess.run(
            [sys.executable, "-m", "dfud", *words], capture_output=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == 0, done.stdout

    return check


def write(path: Path, content: bytes) -> None:
    """Write a file with the one time that all these files have."""
    path.write_bytes(content)
    os.utime(path, ns=(TIME_NS, TIME_NS))


def rewrite_mapped(path: Path, content: bytes) -> None:
    """Rewrite a file in place through a mapping, so that no close is reported, and put its time back."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[:] = content
        pages.flush()
    os.utime(path, ns=(TIME_NS, TIME_NS))


def replace(path: Path, content: bytes) -> None:
    """Rename a file away, and put another one of the same size and time in its place."""
    frame = path.with_name(".frame")
    write(frame, content)
    path.rename(path.with_name(f".was {path.name}"))
    frame.rename(path)


# Rewritten after a kill


@pytest.mark.parametrize("change", [rewrite_mapped, replace])
def test_a_file_that_changed_after_a_kill_is_sent_whole(
    directory: Path,
    config_file: Path,
    slow_config: Path,
    kafka: KafkaNode,
    topic: str,
    change: Callable[[Path, bytes], None],
    assert_on_topic: Callable[[], None],
) -> None:
    numbers = random.Random(1)
    path, size = directory / "frame", 20_000_000
    write(path, numbers.randbytes(size))
    chunks = ("--chunk_size", 512)
    with uploading(directory, slow_config, topic, "--upload_existing", *chunks) as upload:
        wait_until(lambda: any(int(row["n_chunks_delivered"]) for row in in_progress(directory, topic)))
        upload.kill()
    (row,) = in_progress(directory, topic)
    status = path.stat()
    assert (row["ctime_ns"], row["inode"]) == (str(status.st_ctime_ns), str(status.st_ino))
    content = numbers.randbytes(size)
    change(path, content)

    text = upload_once(directory, config_file, topic, *chunks)
    assert "frame has the same size and modification time as when parts of it were uploaded, but " in text
    assert in_progress(directory, topic) == []
    assert len(completed(directory, topic)) == 1
    assert_on_topic()


def test_the_rest_of_a_file_of_an_earlier_version_of_dfud_is_sent(
    directory: Path, config_file: Path, slow_config: Path, kafka: KafkaNode, topic: str
) -> None:
    """Its table has no ctime and no inode."""
    write(directory / "frame", random.Random(2).randbytes(20_000_000))
    chunks = ("--chunk_size", 512)
    with uploading(directory, slow_config, topic, "--upload_existing", *chunks) as upload:
        wait_until(lambda: any(int(row["n_chunks_delivered"]) for row in in_progress(directory, topic)))
        upload.kill()
    table = directory / "LOGS" / f"upload_to_{topic}_in_progress.csv"
    lines = table.read_text().splitlines()
    table.write_text("".join(line.rsplit(",", 2)[0] + "\r\n" for line in lines))
    text = upload_once(directory, config_file, topic, *chunks)
    assert " of 39,063 chunks still to send" in text
    assert "uploading all of it again" not in text
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


# Replaced by another of the same size and time


@pytest.mark.parametrize("change", [rewrite_mapped, replace])
@pytest.mark.parametrize("size", [5, 100_000])
def test_a_file_that_was_replaced_between_two_runs_is_sent_again(
    directory: Path,
    config_file: Path,
    topic: str,
    size: int,
    change: Callable[[Path, bytes], None],
    assert_on_topic: Callable[[], None],
) -> None:
    numbers = random.Random(3)
    for name in ("frame", "other"):
        write(directory / name, numbers.randbytes(size))
    upload_once(directory, config_file, topic)
    change(directory / "frame", numbers.randbytes(size))
    (directory / "other").chmod(0o600)  # changes the ctime of a file, and nothing else
    text = upload_once(directory, config_file, topic)
    assert re.search(FRAME_SENT, text)
    assert "other: " not in text, "it was sent again although its content is the same"
    assert len(completed(directory, topic)) == 3
    assert_on_topic()


@pytest.mark.parametrize("change", [rewrite_mapped, replace])
@pytest.mark.parametrize("size", [5, 100_000])
def test_a_file_that_was_replaced_is_sent_again_by_polling(
    directory: Path,
    config_file: Path,
    topic: str,
    size: int,
    change: Callable[[Path, bytes], None],
    assert_on_topic: Callable[[], None],
) -> None:
    numbers = random.Random(4)
    write(directory / "frame", numbers.randbytes(size))
    options = ("--upload_existing", "--use_polling_observer")
    with uploading(directory, config_file, topic, *options) as upload:
        upload.wait_for(FRAME_SENT)
        change(directory / "frame", numbers.randbytes(size))
        upload.wait_for(FRAME_SENT)
        upload.quit()
    assert len(completed(directory, topic)) == 2
    assert_on_topic()


# Attributes that change all the time


@contextmanager
def changing_attributes(path: Path) -> Iterator[None]:
    """Change the mode of a file again and again, which changes its ctime."""
    is_over = threading.Event()

    def change() -> None:
        while not is_over.wait(0.001):
            path.chmod(0o600 ^ (path.stat().st_mode & 0o44) ^ 0o44)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("size", [100_000, 30_000_000])
def test_a_file_whose_ctime_changes_all_the_time_is_sent_once(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, size: int
) -> None:
    path = directory / "file"
    path.write_bytes(random.Random(5).randbytes(size))
    with changing_attributes(path):
        upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic)


# Leases


def test_a_lease_that_is_given_up_after_a_while_is_waited_for(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    (directory / "held").write_bytes(b"what a client of the file server has written")
    (directory / "other").write_bytes(b"other")
    with leased(directory / "held", hold_s=5) as holder:
        text = upload_once(directory, config_file, topic)
        assert holder.wait() == 0, "it was not asked to give up the lease"
    assert " lease" not in text, "it is nothing that a user has to know"
    assert_all_there(directory, kafka.bootstrap, topic)


@pytest.fixture
def short_lease_break() -> Iterator[None]:
    """The kernel waits for a lease for 3 seconds only, if it can be told so."""
    usual = LEASE_BREAK.read_text()
    with suppress(OSError):
        LEASE_BREAK.write_text("3")
    yield
    with suppress(OSError):
        LEASE_BREAK.write_text(usual)


@pytest.mark.usefixtures("short_lease_break")
def test_a_lease_that_is_not_given_up_is_named(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    (directory / "held").write_bytes(b"content")
    (directory / "other").write_bytes(b"other")
    upload = Upload(command(directory, config_file, topic, "--once"))
    try:
        with leased(directory / "held", hold_s=0):
            upload.wait_for("other: 1 chunk acknowledged")
            status, text = upload.end(float(LEASE_BREAK.read_text()) + WAIT_S)
    finally:
        upload.close()
    assert status == 1
    assert [line for line in text.splitlines() if "held" in line.split() and "lease" in line]
    assert "all files detected" not in text
    assert tree(directory).keys() - files_on(kafka.bootstrap, topic).keys() == {b"held"}
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic)


# Files that cannot be read

N_UNREADABLE = 5_100


@pytest.fixture
def unreadable(directory: Path) -> set[str]:
    """The paths of many files in the directory that another user has and only that user may read."""
    (directory / "theirs").mkdir()
    paths = set()
    for number in range(N_UNREADABLE):
        path = directory / "theirs" / f"file {number}"
        path.write_bytes(b"secret")
        path.chmod(0o600)
        os.chown(path, 12345, 12345)
        paths.add(f"theirs/file {number}")
    return paths


def refused(directory: Path) -> set[str]:
    """Return the paths that the log file names as not readable."""
    log = (directory / "LOGS" / "DataFileUploadDirectory.log").read_text()
    lines = [line for line in log.splitlines() if "Permission denied" in line and " theirs/" in line]
    return {"theirs/" + re.split(": | not delivered", line.partition(" theirs/")[2])[0] for line in lines}


@needs_root
def test_files_that_cannot_be_read_are_named_and_hold_up_nothing(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, unreadable: set[str]
) -> None:
    for number in range(300):
        (directory / f"good {number}").write_bytes(b"%d" % number)
    text = upload_once(directory, config_file, topic, status=1, by=NO_PRIVILEGE)
    assert refused(directory) == unreadable
    assert f"{N_UNREADABLE:,} files could not be delivered" in text
    assert "all files detected" not in text
    assert {os.fsdecode(path) for path in files_on(kafka.bootstrap, topic)} == {f"good {n}" for n in range(300)}
    rows = {row["rel_filepath"] for row in in_progress(directory, topic)}
    assert rows == unreadable, "the next run has to try again"


@needs_root
def test_files_that_cannot_be_read_hold_up_neither_later_files_nor_the_end(
    directory: Path, config_file: Path, topic: str, unreadable: set[str]
) -> None:
    with uploading(directory, config_file, topic, "--upload_existing", by=NO_PRIVILEGE) as upload:
        wait_until(lambda: len(in_progress(directory, topic)) == N_UNREADABLE)
        (directory / "good").write_bytes(b"content")
        upload.wait_for("good: 1 chunk acknowledged")
        upload.process.terminate()
        status, _ = upload.end()
    assert status == 1
    assert refused(directory) == unreadable


# What was there before


def test_files_that_were_there_before_are_counted(directory: Path, config_file: Path, topic: str) -> None:
    (directory / "sub").mkdir()
    for name in ("one", "sub/two", "three", ".hidden", "some.log"):
        write(directory / name, b"content")
    line = "3 files were there before and are not sent; --upload_existing sends them"
    with uploading(directory, config_file, topic) as upload:
        upload.wait_for(line)
        (directory / "new").write_bytes(b"new")
        upload.wait_for("new: 1 chunk acknowledged")
        text = upload.quit()
    assert text.count("were there before") == 1
    with uploading(directory, config_file, topic, "--upload_existing") as upload:
        upload.wait_for("watching")
        assert "there before" not in upload.quit()
    with uploading(directory, config_file, topic) as upload:
        upload.wait_for("watching")
        assert "there before" not in upload.quit(), "all of them are recorded"
