"""Run the upload as a user would, as a process, and read the tables in LOGS without its code."""

from __future__ import annotations

import csv
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from tests.helpers.reader import File, read_topic, rebuild
from tests.helpers.users import OtherUser

WAIT_S = 60.0
_POLL_S = 0.02

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], seconds: float = WAIT_S) -> T:
    """Return the first true value of `condition`; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(_POLL_S)


def command(directory: Path, config: Path, topic: str, *options: object) -> list[str]:
    """Return the command line of an upload."""
    words = ["upload", directory, "--config", config, "--topic_name", topic, *options]
    return [sys.executable, "-m", "dfud", *map(str, words)]


class Upload:
    """A running upload, with a pipe for its input and its output."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self._text = ""
        self._at = 0  # up to which `wait_for` has searched

    def _read(self, seconds: float) -> bool:
        """Read some output; return False at its end."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], max(0.0, seconds))[0]:
            return True
        data = self.process.stdout.read(65536)
        self._text += data.decode("utf-8", "replace")
        return bool(data)

    def wait_for(self, pattern: str, seconds: float = WAIT_S) -> re.Match[str]:
        """Return the next line that matches the pattern; fail if the output ends or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            for line in re.finditer(r".*\n", self._text[self._at :]):
                match = re.search(pattern, line[0])
                if match:
                    self._at += line.end()
                    return match
            assert time.monotonic() < deadline, f"no line with {pattern!r} in:\n{self._text}"
            assert self._read(deadline - time.monotonic()), f"no {pattern!r} before the end of:\n{self._text}"

    def say(self, word: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())

    def end(self, seconds: float = WAIT_S) -> tuple[int, str]:
        """Wait for the end; return the exit status and all output."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"it does not end:\n{self._text}"
        return self.process.wait(max(1.0, deadline - time.monotonic())), self._text

    def quit(self, status: int = 0) -> str:
        """Type "quit" and wait for an orderly end; return all output."""
        self.say("quit")
        ended, text = self.end()
        assert ended == status, text
        return text

    def kill(self) -> None:
        """Kill the process group with SIGKILL and wait until all of its processes are gone."""
        members = [self.process.pid, *(child.pid for child in self._children())]
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(_is_alive(pid) for pid in members))

    def close(self) -> None:
        """Kill the program if it still runs, and close the pipes."""
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> dict[str, psutil.Process]:
        """Return the worker processes by their names, such as ``watcher``, ``chunker-0`` and ``producer-1``.

        Each names itself when it first gets a processor, which may be after others have begun to work.
        """
        workers = {}
        for child in self._children():
            try:
                workers[child.name().removeprefix("dfud:")] = child
            except psutil.NoSuchProcess:
                continue
        return workers

    def wait_for_worker(self, name: str) -> psutil.Process:
        """Return the worker process of that name as soon as it is there."""
        return wait_until(lambda: self.workers().get(name))


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(by: Sequence[str], user: OtherUser | None, words: list[str]) -> list[str]:
    return [*by, *(words if user is None else user.command(words))]


@contextmanager
def uploading(
    directory: Path,
    config: Path,
    topic: str,
    *options: object,
    by: Sequence[str] = (),
    user: OtherUser | None = None,
) -> Iterator[Upload]:
    """Run an upload that watches, started `by` a command, for the duration of the block, then kill it.

    It runs as another `user` if one is given.
    """
    upload = Upload(_words(by, user, command(directory, config, topic, *options)))
    try:
        upload.wait_for("watching|polling|uploading ")
        yield upload
    finally:
        upload.close()


def upload_once(
    directory: Path,
    config: Path,
    topic: str,
    *options: object,
    status: int = 0,
    by: Sequence[str] = (),
    user: OtherUser | None = None,
) -> str:
    """Run an upload with ``--once`` and no standard input, started `by` a command; return its output.

    It runs as another `user` if one is given.
    """
    done = subprocess.run(
        _words(by, user, command(directory, config, topic, "--once", *options)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


# What is in LOGS


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table, or no rows if it does not exist."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def in_progress(directory: Path, topic: str) -> list[dict[str, str]]:
    """Return the rows of the in-progress table."""
    return table(directory / "LOGS" / f"upload_to_{topic}_in_progress.csv")


def completed(directory: Path, topic: str) -> list[dict[str, str]]:
    """Return the rows of all completed tables."""
    names = sorted((directory / "LOGS").glob(f"uploaded_to_{topic}*.csv"))
    return [row for name in names for row in table(name)]


def recorded_chunks(directory: Path, topic: str) -> dict[bytes, set[int]]:
    """Return the numbers of the chunks that the tables record as acknowledged, by path."""
    recorded = {}
    for row in in_progress(directory, topic):
        missing: set[int] = set()
        for word in row["chunks_to_send"].split():
            first, _, last = word.partition("-")
            missing.update(range(int(first), int(last or first) + 1))
        recorded[os.fsencode(row["rel_filepath"])] = set(range(1, int(row["n_chunks"]) + 1)) - missing
    for row in completed(directory, topic):
        recorded[os.fsencode(row["rel_filepath"])] = set(range(1, int(row["n_chunks"]) + 1))
    return recorded


# What is on the topic


def files_on(bootstrap: str, topic: str) -> dict[bytes, dict[str, File]]:
    """Return the files on a topic by key and upload id; check their digests."""
    return rebuild(read_topic(bootstrap, topic))


def tree(directory: Path) -> dict[bytes, bytes]:
    """Return the contents of all files that should be uploaded, by path."""
    top = os.fsencode(directory)
    contents = {}
    for folder, folders, names in os.walk(top):
        if folder == top and b"LOGS" in folders:
            folders.remove(b"LOGS")
        for name in names:
            path = os.path.join(folder, name)
            if not name.startswith(b".") and not name.endswith(b".log") and os.path.isfile(path):
                with open(path, "rb") as file:
                    contents[os.path.relpath(path, top)] = file.read()
    return contents


def assert_all_there(
    directory: Path, bootstrap: str, topic: str, once: bool = True
) -> dict[bytes, dict[str, File]]:
    """Check that the topic has exactly the files of the directory; with `once`, each chunk once."""
    files = files_on(bootstrap, topic)
    expected = tree(directory)
    assert files.keys() == expected.keys()
    for path, content in expected.items():
        (version,) = files[path].values()
        assert version.complete, path
        assert version.data == content, path
        assert not once or version.duplicates == 0, path
    return files
