"""Hostile neighbours, with a real Kafka: names, folders and files of those who may write into DIR."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import Record, download_once, downloading, native, produce
from tests.helpers.uploading import completed, files_on, upload_once, uploading, wait_until
from tests.helpers.verifying import verify

BACKTRACKING = "(a+)+$"  # takes 2 ** n steps on a name of n times "a" and something else
ENDLESS = "a" * 60 + "!"

# What a terminal obeys, or shows in another order: C0 and C1, DEL, and Unicode's formatting characters.
COMMANDS = ("\x1b[2J", "\x9b2J", "\x7f", "\r", "\b", "\u202e", "\u2066", "\u200b", "\udc9b")
HARMLESS = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*")


# Names


def test_a_name_on_which_an_expression_backtracks_without_end_is_left(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    for name in (ENDLESS, "aaa"):
        (directory / name).write_bytes(b"x")
    options = ["--upload_regex", BACKTRACKING]
    text = upload_once(directory, config_file, topic, *options, status=1)
    assert f"{ENDLESS} cannot be matched: --upload_regex backtracks on its name for too long" in text
    with uploading(directory, config_file, topic, *options) as upload:
        for number in range(100):
            (directory / f"{ENDLESS}{number}").write_bytes(b"x")
        (directory / "a").write_bytes(b"x")
        wait_until(lambda: len(completed(directory, topic)) == 2)
        upload.quit(status=1)
    assert files_on(kafka.bootstrap, topic).keys() == {b"a", b"aaa"}
    status, text = verify(directory, config_file, topic, *options)
    assert status == 1
    assert f"{ENDLESS} is not verified: --upload_regex backtracks on its name" in text


def test_a_path_on_which_an_expression_backtracks_without_end_is_not_downloaded(
    directory: Path, config_file: Path, topic: str, tmp_path: Path
) -> None:
    for name in (ENDLESS, "aaa"):
        (directory / name).write_bytes(b"x" * 100_000)
    upload_once(directory, config_file, topic)
    copy = tmp_path / "copy"
    text = download_once(copy, config_file, topic, "--download_regex", BACKTRACKING, status=1)
    assert f"{ENDLESS} left: --download_regex backtracks on its name for too long" in text
    assert [path.name for path in copy.iterdir() if path.is_file()] == ["aaa"]


# Terminals


def run(*words: object) -> tuple[int, str]:
    """Run dfud; return its exit status, and what it writes."""
    done = subprocess.run(
        [sys.executable, "-m", "dfud", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def hostile_tables(logs: Path, topic: str) -> None:
    """Put rows and names of files into LOGS that command a terminal."""
    logs.mkdir()
    text = "".join(COMMANDS)
    row = f"{text},{text},1,1,1,{'0' * 32},{text},{text}\r\n"
    good = f"{text.replace(chr(13), '')},1,1,1,1,{'0' * 32},{text.replace(chr(13), '')},2026-01-01T{text[:4]}\r\n"
    header = "rel_filepath,size,mtime_ns,n_chunks,chunk_size,xxh3_128,started,completed\r\n"
    for name in (topic, f"x{text}"):
        table = logs / f"uploaded_to_{name}.csv"
        table.write_text(header + row + good, encoding="utf-8", errors="surrogateescape", newline="")
    theirs = f"'rel_filepath';'n_chunks';'started';'completed'\n'{text}';'{text}';'{text}';'{text}'\n"
    (logs / f"uploaded_to_{topic}_p0.csv").write_text(theirs, errors="surrogateescape")
    (logs / f"upload_to_{topic}_in_progress.csv").write_text(f"{text}\n", errors="surrogateescape")


def test_nothing_that_others_name_or_send_commands_a_terminal(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    hostile_tables(directory / "LOGS", topic)
    text = "".join(COMMANDS)
    for name in COMMANDS:
        (directory / f"file{name}").write_bytes(b"x")
        (directory / f"link{name}").symlink_to("/etc/passwd")
        (directory / f"folder{name}").mkdir()
    bad = tmp_path / f"bad{text}"
    bad.write_text(f"[broker]\n{text}\n", errors="surrogateescape")
    key = os.fsencode(text)
    messages = [*native(b"../" + key, b"x", 1), *native(key, b"x", 1), Record(key, key, [("chunk", key)])]
    produce(kafka.bootstrap, topic, messages)
    arguments = ["--config", config_file, "--topic_name", topic]
    outputs = [
        run(*words)
        for words in (
            ["upload", directory, *arguments, "--once"],
            ["status", directory],
            ["status", directory, "--json"],
            ["status", directory, "--topic_name", text],
            ["verify", directory, *arguments],
            ["verify", directory, *arguments, "--json"],
            ["download", tmp_path / "copy", *arguments, "--once", "--logger_stream_level", "debug"],
            ["upload", f"{directory}{text}", *arguments],
            ["upload", directory, "--config", bad, "--topic_name", topic],
            ["upload", directory, *arguments, "--upload_regex", f"({text}"],
            ["upload", directory, *arguments, f"--{text}"],
            ["broker", "--data_dir", f"/dev/null/{text}"],
            [text],
        )
    ]
    outputs += [(0, log.read_text()) for log in tmp_path.glob("*/LOGS/*.log")]
    assert len(outputs) == 15
    for status, output in outputs:
        assert HARMLESS.fullmatch(output), (status, output)
        assert "Traceback" not in output, output


def test_names_as_they_are_do_not_go_to_a_terminal(directory: Path, config_file: Path, topic: str) -> None:
    child, terminal = pty.fork()
    if not child:
        words = ["verify", directory, "--config", config_file, "--topic_name", topic, "--print0"]
        os.execv(sys.executable, [sys.executable, "-m", "dfud", *map(str, words)])
    assert b"--print0 writes names as they are" in os.read(terminal, 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    os.close(terminal)


# What is removed


def _remove(folder: Path) -> bool:
    """Remove a folder, into which others may write meanwhile; return whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@pytest.mark.parametrize("removed", [".", "LOGS"])
def test_a_download_whose_folder_is_removed_ends_and_says_so(
    directory: Path, config_file: Path, topic: str, kafka: KafkaNode, removed: str
) -> None:
    with downloading(directory, config_file, topic) as download:
        download.wait_for("downloading topic")
        wait_until((directory / "LOGS" / f"download_from_{topic}" / ".lock").exists)
        wait_until(partial(_remove, directory / removed))
        produce(kafka.bootstrap, topic, native(b"file", b"x" * 5000, 1))
        status, text = download.end()
    assert status == 1
    assert f"{directory}/LOGS/download_from_{topic} was removed while it was in use: ending" in text


# Descriptors


def test_a_worker_that_dies_leaves_no_descriptor(directory: Path, config_file: Path, topic: str) -> None:
    with uploading(directory, config_file, topic, "--n_threads", "1") as upload:
        descriptors = Path("/proc", str(upload.process.pid), "fd")
        numbers = []
        for number, name in enumerate(["producer-0", "chunker-0", "watcher", "producer-0", "chunker-0"], 1):
            pid = upload.wait_for_worker(name).pid
            os.kill(pid, signal.SIGKILL)
            upload.wait_for(f"{name} was killed by SIGKILL")
            (directory / f"file{number}").write_bytes(b"%d" % number)
            upload.wait_for(f"file{number}: .*acknowledged")
            numbers.append(len(os.listdir(descriptors)))
        upload.quit()
    assert max(numbers) == min(numbers), numbers


@pytest.mark.parametrize("command", ["upload", "verify", "download"])
def test_nothing_is_left_open(directory: Path, config_file: Path, topic: str, command: str) -> None:
    (directory / "file").write_bytes(b"x")
    upload_once(directory, config_file, topic)
    words = [command, directory, "--config", config_file, "--topic_name", topic]
    words += [] if command == "verify" else ["--once"]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "dfud", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
