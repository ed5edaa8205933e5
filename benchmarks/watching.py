"""An upload that runs on and watches a directory, to be looked at while it does."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.command import CommandFailed
from benchmarks.listener import Listener
from benchmarks.peers.ours import DFUD
from benchmarks.stage import Stage
from dfud.broker import client_config

_READY = 60.0  # s
_ENDING = 120.0  # s


def dfud_command(stage: Stage, folder: Path, topic: str, *options: str) -> list[str]:
    """Return the command of an upload that goes on."""
    config = client_config.write(stage.work / "watching.config", stage.bootstrap)
    return [str(DFUD), "upload", str(folder), "--config", str(config), "--topic_name", topic, *options]


@contextlib.contextmanager
def running(stage: Stage, argv: Sequence[str], farewell: bytes = b"quit\n") -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that goes on until it is told to end; CommandFailed if it ends badly."""
    with stage.log.open("wb") as output:
        process = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    try:
        yield process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(farewell)
            process.stdin.close()
        status = process.wait(_ENDING)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if status:
        raise CommandFailed(
            f"{argv[0]} ended with status {status}:\n{stage.log.read_text(errors='replace')[-2000:]}"
        )


def until_it_watches(process: subprocess.Popen[bytes], folder: Path, listener: Listener, mark: str) -> None:
    """Put files into `folder` until one of them comes out of the topic."""
    deadline = time.monotonic() + _READY
    for number in itertools.count():
        name = f"{mark}first{number}"
        write_file(folder / name, b"ready?")
        if listener.wait_for_any(1.0):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed(f"nothing came of the files that were put into {folder}")


def write_file(path: Path, data: bytes) -> float:
    """Write a file in one go and return when it was closed (`time.monotonic`)."""
    with open(path, "wb", buffering=0) as file:
        file.write(data)
    return time.monotonic()
