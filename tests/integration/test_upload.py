"""The upload end to end, as a user runs it, with a real Kafka."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.reader import File
from tests.helpers.terminals import ON_TERMINAL
from tests.helpers.topics import create_topic
from tests.helpers.uploading import (
    WAIT_S,
    Upload,
    assert_all_there,
    command,
    completed,
    files_on,
    in_progress,
    recorded_chunks,
    tree,
    upload_once,
    uploading,
    wait_until,
)

ODD_NAMES = [
    b"with space", b"quo'te\"s", b"semi;colon,comma", b"new\nline", b"\xff\xfe not utf-8", "näher ☃".encode(),
    b"-dash", b"100%", b"back\\slash", b"tab\t", b"a" * 255, b"trailing ", b"star*?[x]",
]  # fmt: skip


def write_odd_tree(directory: Path) -> None:
    """Write small files with odd names, at the top and in odd folders."""
    numbers = random.Random(5)
    for index, name in enumerate(ODD_NAMES):
        folder = directory / os.fsdecode(ODD_NAMES[-1 - index])
        (folder / "LOGS").mkdir(parents=True, exist_ok=True)
        for path in (folder / os.fsdecode(name), folder / "LOGS" / "kept"):
            path.write_bytes(numbers.randbytes(numbers.choice([0, 1, 16384, 16385, 100_000])))
    for excluded in (".hidden", "some.log", "sub/.hidden", "sub/other.log"):
        (directory / excluded).parent.mkdir(exist_ok=True)
        (directory / excluded).write_bytes(b"not to be uploaded")
    (directory / "empty").touch()


def test_a_tree_of_odd_names_is_uploaded_once(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    write_odd_tree(directory)
    upload_once(directory, config_file, topic)
    files = assert_all_there(directory, kafka.bootstrap, topic)
    assert in_progress(directory, topic) == []
    rows = completed(directory, topic)
    assert sorted(os.fsencode(row["rel_filepath"]) for row in rows) == sorted(files)
    for row in rows:
        (version,) = files[os.fsencode(row["rel_filepath"])].values()
        assert (int(row["size"]), int(row["mtime_ns"])) == (version.size, version.mtime_ns)
        assert (int(row["n_chunks"]), row["xxh3_128"]) == (version.n_chunks, version.xxh3_128)

    before = len(rows)
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic)
    assert len(completed(directory, topic)) == before


def test_a_directory_is_uploaded_while_it_changes(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    ignore = shutil.ignore_patterns("site-packages", "test", "idlelib", "__pycache__")
    shutil.copytree(library, directory / "existing", ignore=ignore)
    (tmp_path / "new").mkdir()
    shutil.copytree(library / "json", tmp_path / "new" / "json")
    shutil.copytree(library / "email", tmp_path / "new" / "deeper" / "email")
    with uploading(directory, config_file, topic, "--upload_existing") as upload:
        with (directory / "slow.bin").open("wb", buffering=0) as slow:
            for step in range(10):
                slow.write(bytes([step]) * 10_000)
                folder = directory / f"made{step}" / "deep" / "er"
                folder.mkdir(parents=True)
                (folder / "file.txt").write_text(f"in a folder as new as this {step}")
                (directory / f"loose{step}.dat").write_bytes(os.urandom(40_000))
            (tmp_path / "new" / "json").rename(directory / "moved")
            (tmp_path / "new" / "deeper").rename(directory / "made3" / "moved")
            (directory / "loose0.dat").rename(directory / "renamed.dat")
        upload.wait_for(r"slow\.bin: all 7 chunks|more files: all")
        workers = [
            upload.wait_for_worker(name)
            for name in ("watcher", "chunker-0", "chunker-1", "producer-0", "producer-1")
        ]
        assert len(upload.workers()) == len(workers)
        upload.quit()
        assert not any(worker.is_running() for worker in workers)
    files = files_on(kafka.bootstrap, topic)
    renamed = files.pop(b"loose0.dat", {})  # it may have been sent before it was renamed
    assert all(version.complete for version in renamed.values())
    for path, content in tree(directory).items():
        (version,) = files.pop(path).values()
        assert version.complete, path
        assert version.data == content, path
        assert version.duplicates == 0, path
    assert not files
    assert in_progress(directory, topic) == []
    tables = sorted(path.name for path in (directory / "LOGS").glob("*.csv"))
    assert tables == [f"upload_to_{topic}_in_progress.csv", f"uploaded_to_{topic}.csv"]


def test_only_new_files_are_uploaded_by_default(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    (directory / "old").write_bytes(b"there before")
    with uploading(directory, config_file, topic) as upload:
        (directory / "new").write_bytes(b"came later")
        upload.wait_for("new: 1 chunk acknowledged")
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"new"}


def test_a_changed_file_is_a_new_version(directory: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    path = directory / "file"
    path.write_bytes(b"1" * 50_000)
    with uploading(directory, config_file, topic, "--upload_existing") as upload:
        upload.wait_for("file: all 4 chunks")
        path.write_bytes(b"22" * 10_000)
        upload.wait_for("file: all 2 chunks")
        upload.quit()
    versions = sorted(files_on(kafka.bootstrap, topic)[b"file"].values(), key=lambda version: version.mtime_ns)
    assert [version.data for version in versions] == [b"1" * 50_000, b"22" * 10_000]
    assert all(version.complete for version in versions)
    assert len(completed(directory, topic)) == 2


@pytest.mark.parametrize("polling", [False, True], ids=["inotify", "polling"])
def test_new_files_are_detected(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, polling: bool
) -> None:
    with uploading(directory, config_file, topic, *(["--use_polling_observer"] if polling else [])) as upload:
        (directory / "a" / "b").mkdir(parents=True)
        (directory / "a" / "b" / "file").write_bytes(b"content")
        upload.wait_for("a/b/file: 1 chunk acknowledged")
        upload.quit()
    assert_all_there(directory, kafka.bootstrap, topic)


# Crashes


def fill(directory: Path, megabytes: int, files: int) -> None:
    """Write files of random bytes."""
    for number in range(files):
        (directory / f"big{number}").write_bytes(os.urandom(megabytes * 1_000_000 // files))


def assert_on_topic(recorded: dict[bytes, set[int]], files: dict[bytes, dict[str, File]]) -> None:
    """Check that each recorded chunk is on the topic."""
    for path, chunks in recorded.items():
        if chunks:
            (version,) = files[path].values()
            assert chunks <= version.chunks.keys(), f"{path!r}: recorded and not on the topic"


def test_a_file_in_both_tables_is_not_sent_again(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    """The completed table is written first, so a crash before the other leaves the file in both."""
    fill(directory, 1, 3)
    upload_once(directory, config_file, topic)
    (directory / "big2").unlink()
    columns = (
        "rel_filepath,size,mtime_ns,chunk_size,n_chunks,n_chunks_delivered,n_chunks_to_send,chunks_to_send,started"
    )
    rows = [columns]
    for row in completed(directory, topic):
        path, n = row["rel_filepath"], row["n_chunks"]
        rows.append(f"{path},{row['size']},{row['mtime_ns']},16384,{n},1,{int(n) - 1},2-{n},{row['started']}")
    (directory / "LOGS" / f"upload_to_{topic}_in_progress.csv").write_text("\n".join(rows) + "\n")
    with uploading(directory, config_file, topic) as upload:
        text = upload.quit()
    assert "big2 is already uploaded; it cannot be accessed any more" in text
    files = files_on(kafka.bootstrap, topic)
    assert [version.duplicates for versions in files.values() for version in versions.values()] == [0, 0, 0]
    assert in_progress(directory, topic) == []


def test_killing_everything_loses_nothing(
    directory: Path, config_file: Path, slow_config: Path, kafka: KafkaNode, topic: str
) -> None:
    fill(directory, 60, 3)
    chunks = ("--chunk_size", 2048)  # many chunks, so that the table is first written in the middle of the upload
    with uploading(directory, slow_config, topic, "--upload_existing", *chunks) as upload:
        wait_until(lambda: any(int(row["n_chunks_delivered"]) for row in in_progress(directory, topic)))
        upload.kill()
    before = files_on(kafka.bootstrap, topic)
    recorded = recorded_chunks(directory, topic)
    assert any(recorded.values()), "nothing was recorded before the kill"
    assert_on_topic(recorded, before)

    upload_once(directory, config_file, topic, *chunks)
    files = assert_all_there(directory, kafka.bootstrap, topic, once=False)
    for path, versions in files.items():
        (version,) = versions.values()
        sent_after = version.order[len(next(iter(before[path].values())).order) if path in before else 0 :]
        assert not recorded.get(path, set()) & set(sent_after), "recorded and sent again"
    assert in_progress(directory, topic) == []
    assert len(completed(directory, topic)) == 3


@pytest.mark.parametrize("name", ["watcher", "chunker-0", "producer-0"])
def test_a_killed_worker_is_replaced(
    directory: Path, slow_config: Path, kafka: KafkaNode, topic: str, name: str
) -> None:
    fill(directory, 40, 8)
    with uploading(directory, slow_config, topic, "--upload_existing") as upload:
        upload.wait_for("broken into")
        upload.wait_for_worker(name).kill()
        upload.wait_for(f"{name} was killed by SIGKILL: restarting it")
        (directory / "later").write_bytes(b"noticed by whoever watches now")
        upload.wait_for("later: 1 chunk acknowledged")
        upload.quit()
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_repeated_deaths_of_workers_end_the_program(directory: Path, config_file: Path, topic: str) -> None:
    with uploading(directory, config_file, topic) as upload:
        for _ in range(20):
            wait_until(lambda: "chunker-0" in upload.workers() or upload.process.poll() is not None)
            victim = upload.workers().get("chunker-0")
            if victim is None:
                break
            victim.kill()
            victim.wait(WAIT_S)
        status, text = upload.end()
    assert status == 1
    assert "died within" in text
    assert "Traceback" not in text


def test_a_stopped_broker_is_waited_for(tmp_path: Path, directory: Path) -> None:
    with KafkaNode(tmp_path / "own kafka") as node:
        config = client_config.write(tmp_path / "config", node.bootstrap)
        topic = create_topic(node.bootstrap)
        with uploading(directory, config, topic) as upload:
            (directory / "before").write_bytes(b"1" * 100_000)
            upload.wait_for("before: all 7 chunks")
            node.kill()
            (directory / "meanwhile").write_bytes(b"2" * 100_000)
            upload.wait_for("broker unreachable")
            node.start()
            upload.wait_for("meanwhile: all 7 chunks")
            upload.quit()
        assert_all_there(directory, node.bootstrap, topic, once=False)


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_as_quit_does(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, number: int
) -> None:
    with uploading(directory, config_file, topic, by=ON_TERMINAL) as upload:
        fill(directory, 20, 10)
        os.killpg(upload.process.pid, number)  # all processes get it, as from a terminal
        status, text = upload.end()
    assert status == 0, text
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_service_opens_its_log_again_on_sighup(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    log = directory / "LOGS" / "DataFileUploadDirectory.log"
    with uploading(directory, config_file, topic) as upload:
        log.rename(directory / "LOGS" / "moved")
        upload.process.send_signal(signal.SIGHUP)
        upload.wait_for("log file opened again")
        assert log.exists()
        fill(directory, 20, 10)
        upload.quit()
    assert_all_there(directory, kafka.bootstrap, topic)


def test_two_uploads_share_a_bounded_log(
    directory: Path, config_file: Path, topic: str, make_topic: Callable[..., str]
) -> None:
    fill(directory, 10, 10)
    other = make_topic()
    options = ["--upload_existing", "--log_format", "json", "--logger_file_level", "debug"]
    options += ["--logger_file_max_size", "0.001", "--logger_file_count", "100"]
    with uploading(directory, config_file, topic, *options) as upload:
        upload_once(directory, config_file, other, *options)
        upload.quit()
    logs = list((directory / "LOGS").glob("DataFileUploadDirectory*.log"))
    records = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    acked = {(each["topic"], each["file"]) for each in records if each["message"].endswith("acknowledged")}
    assert acked == {(name, file) for name in (topic, other) for file in map(os.fsdecode, tree(directory))}
    assert len(logs) > 2


def test_a_second_interrupt_stops_it_immediately(
    directory: Path, config_file: Path, slow_config: Path, kafka: KafkaNode, topic: str
) -> None:
    fill(directory, 100, 3)
    with uploading(directory, slow_config, topic, "--upload_existing") as upload:
        upload.wait_for("broken into")
        upload.process.send_signal(signal.SIGINT)
        upload.wait_for("finishing what is enqueued")
        upload.process.send_signal(signal.SIGINT)
        status, text = upload.end()
    assert status == 1, text
    assert "stopped immediately" in text
    recorded = recorded_chunks(directory, topic)
    before = files_on(kafka.bootstrap, topic)
    assert_on_topic(recorded, before)
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_quiet_prints_nothing_unless_something_is_wrong(directory: Path, config_file: Path, topic: str) -> None:
    fill(directory, 3, 10)
    assert upload_once(directory, config_file, topic, "--quiet") == ""
    (directory / "link").symlink_to(config_file)
    assert re.fullmatch(
        r"WARNING: .*; --follow_links uploads them\n", upload_once(directory, config_file, topic, "-q")
    )
    with uploading(directory, config_file, topic):
        assert upload_once(directory, config_file, topic, "--quiet", status=75) == ""


def test_a_second_instance_is_refused(
    directory: Path, config_file: Path, topic: str, make_topic: Callable[..., str]
) -> None:
    with uploading(directory, config_file, topic) as upload:
        text = upload_once(directory, config_file, topic, status=75)
        assert len(text.splitlines()) == 1
        assert "already uploading" in text
        upload_once(directory, config_file, make_topic())  # but another topic is allowed
        upload.quit()


def test_the_end_of_the_input_is_not_a_command_and_costs_no_cpu(
    directory: Path, config_file: Path, topic: str
) -> None:
    words = command(directory, config_file, topic, "--update_seconds", 1)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    try:
        lines: list[bytes] = []
        while lines.count(b".\n") < 1:
            lines.append(process.stdout.readline())
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        began, used = time.monotonic(), sum(sum(member.cpu_times()[:2]) for member in family)
        while lines.count(b".\n") < 5:
            lines.append(process.stdout.readline())
        share = (sum(sum(member.cpu_times()[:2]) for member in family) - used) / (time.monotonic() - began)
        assert share < 0.02, f"{share:.1%} of a core"
        process.terminate()
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# The console


def test_a_closed_output_does_not_stop_it(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    fill(directory, 5, 50)
    process = subprocess.Popen(
        command(directory, config_file, topic, "--once"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(WAIT_S) == 0
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_full_output_does_not_stop_it(directory: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    (directory / "file").write_bytes(b"x" * 100)
    upload = Upload(command(directory, config_file, topic, "--once", "--update_seconds", "0.00001"))
    try:
        upload.process.wait(WAIT_S)  # nobody reads the output
        assert upload.process.returncode == 0
    finally:
        upload.close()
    assert_all_there(directory, kafka.bootstrap, topic)


def test_check_shows_what_is_in_progress(directory: Path, config_file: Path, topic: str) -> None:
    with uploading(directory, config_file, topic, "--update_seconds", "0.2") as upload:
        upload.wait_for(r"^\.$")
        upload.say("c")
        upload.wait_for("0 files enqueued or in progress")
        upload.say("check")
        upload.wait_for("0 files enqueued or in progress")
        upload.say("q")
        assert upload.end()[0] == 0
