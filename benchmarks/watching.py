"""Programs that keep watching a directory, to be measured while they run."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.command import CommandFailedError
from benchmarks.listener import Listener
from benchmarks.peers.dfud_upload import DFUD
from benchmarks.testbed import Testbed
from dfud.broker import client_config

_START_TIMEOUT_S = 60.0
_EXIT_TIMEOUT_S = 120.0


def dfud_command(testbed: Testbed, folder: Path, topic: str, *options: str, program: Path = DFUD) -> list[str]:
    """Return the command of an upload that runs until it is told to quit."""
    config = client_config.write(testbed.work / "watching.config", testbed.bootstrap)
    return [str(program), "upload", str(folder), "--config", str(config), "--topic_name", topic, *options]


@contextlib.contextmanager
def running(
    testbed: Testbed, argv: Sequence[str], final_input: bytes = b"quit\n"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program inside a `with` block, then make it quit; CommandFailedError if it exits with an error."""
    with testbed.log.open("wb") as output:
        process = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    try:
        yield process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(final_input)
            process.stdin.close()
        status = process.wait(_EXIT_TIMEOUT_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if status:
        raise CommandFailedError(
            f"{argv[0]} exited with status {status}:\n{testbed.log.read_text(errors='replace')[-2000:]}"
        )


def wait_until_watching(process: subprocess.Popen[bytes], folder: Path, listener: Listener, mark: str) -> None:
    """Write files into `folder` until one of them arrives from the topic."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    for number in itertools.count():
        name = f"{mark}first{number}"
        write_file(folder / name, b"ready?")
        if listener.wait_for_any(1.0):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailedError(f"none of the files written into {folder} has arrived")


def write_file(path: Path, data: bytes) -> float:
    """Write a whole file and return when it was closed (`time.monotonic`)."""
    with open(path, "wb", buffering=0) as file:
        file.write(data)
    return time.monotonic()
