"""Run one command from its start to its exit and measure all of it."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_CHECK_INTERVAL_S = 0.1  # s
_BROKER_TIMEOUT_S = 900.0  # s; a command that takes longer is ended, and counts as failed


class CommandFailed(Exception):
    """The command ended with an error, or did not end, or did not do its work."""


class Command(NamedTuple):
    """What to run."""

    argv: Sequence[str]
    farewell: bytes = b""  # for its standard input once its work is done, where it does not end by itself
    environment: Mapping[str, str] = {}  # added to ours


class Run(NamedTuple):
    """What one run took."""

    seconds: float  # from the start of the process to its exit
    cpu: float  # s, user and system, of the process and of all its children
    broker_cpu: float  # s, of the broker meanwhile


def run(command: Command, log: Path, broker: int = 0, done: Callable[[], bool] = lambda: True) -> Run:
    """Run `command`, its output in the file `log`; CommandFailed unless it succeeds.

    `done` tells when a command that has to be told to end has done its work. `broker` is the process id of the
    broker, whose CPU seconds are told too. Those of the command are what the kernel has counted at the exit of the
    process, those of each child that it waited for included.
    """
    before = cpu_of(broker) if broker else 0.0
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            list(command.argv),
            stdin=subprocess.PIPE if command.farewell else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.environment},
        )
        try:
            if process.stdin is not None:
                _bid_farewell(process, process.stdin, command.farewell, done)
            usage = wait(process, _BROKER_TIMEOUT_S)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.monotonic() - started
    if usage is None:
        raise CommandFailed(f"{command.argv[0]} did not end in {_BROKER_TIMEOUT_S:.0f} s")
    if process.returncode:
        tail = log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{command.argv[0]} ended with status {process.returncode}:\n{tail}")
    after = cpu_of(broker) if broker else 0.0
    return Run(seconds, usage.ru_utime + usage.ru_stime, after - before)


def _bid_farewell(
    process: subprocess.Popen[bytes], stdin: IO[bytes], farewell: bytes, done: Callable[[], bool]
) -> None:
    """Have `process` end when it has done its work, or does not get it done."""
    deadline = time.monotonic() + _BROKER_TIMEOUT_S
    while not exited(process) and not done() and time.monotonic() < deadline:
        time.sleep(_CHECK_INTERVAL_S)
    with contextlib.suppress(BrokenPipeError):
        stdin.write(farewell)
        stdin.close()


def exited(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether `process` has ended, and leave its status and usage to `wait`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait(process: subprocess.Popen[bytes], seconds: float) -> resource.struct_rusage | None:
    """Wait for the end of `process` and return what it used; kill it after `seconds`, and return None."""
    descriptor = os.pidfd_open(process.pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    if not ended:
        process.kill()
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def cpu_of(process: int) -> float:
    """Return the CPU seconds that a process has used so far, without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
