"""Run one command and measure it from its start to its exit."""

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

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_CHECK_INTERVAL_S = 0.1
_TIMEOUT_S = 900.0  # a command that takes longer is killed and counts as failed


class CommandFailedError(Exception):
    """The command exited with an error, did not exit, or did not do its work."""


class Command(NamedTuple):
    """What to run."""

    argv: Sequence[str]
    final_input: bytes = b""  # for its standard input once its work is done, if it does not exit on its own
    environment: Mapping[str, str] = {}  # added to ours


class Run(NamedTuple):
    """What one run took."""

    seconds: float  # from the start of the process to its exit
    cpu: float  # s, user and system, of the process and all its children
    broker_cpu: float  # s, of the broker meanwhile


def run(command: Command, log: Path, broker: int = 0, is_done: Callable[[], bool] = lambda: True) -> Run:
    """Run `command` with its output in the file `log`; CommandFailedError unless it succeeds.

    `is_done` says when a command that does not exit on its own has done its work. `broker` is the process id of
    the broker, whose CPU time is measured, too. The CPU time of the command is what the kernel reports at its
    exit; it includes every child that the command waited for.
    """
    broker_before = cpu_of(broker) if broker else 0.0
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            list(command.argv),
            stdin=subprocess.PIPE if command.final_input else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.environment},
        )
        try:
            if process.stdin is not None:
                _end_when_done(process, process.stdin, command.final_input, is_done)
            usage = wait(process, _TIMEOUT_S)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.monotonic() - started
    if usage is None:
        raise CommandFailedError(f"{command.argv[0]} did not exit within {_TIMEOUT_S:.0f} s")
    if process.returncode:
        tail = log.read_text(errors="replace")[-2000:]
        raise CommandFailedError(f"{command.argv[0]} exited with status {process.returncode}:\n{tail}")
    broker_after = cpu_of(broker) if broker else 0.0
    return Run(seconds, usage.ru_utime + usage.ru_stime, broker_after - broker_before)


def _end_when_done(
    process: subprocess.Popen[bytes], stdin: IO[bytes], final_input: bytes, is_done: Callable[[], bool]
) -> None:
    """Make `process` exit once it has done its work, or has taken too long."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not has_exited(process) and not is_done() and time.monotonic() < deadline:
        time.sleep(_CHECK_INTERVAL_S)
    with contextlib.suppress(BrokenPipeError):
        stdin.write(final_input)
        stdin.close()


def has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Return whether `process` has exited; its status and usage stay available to `wait`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait(process: subprocess.Popen[bytes], timeout_s: float) -> resource.struct_rusage | None:
    """Wait for `process` to exit and return its resource usage; after `timeout_s` kill it and return None."""
    pidfd = os.pidfd_open(process.pid)
    try:
        exited, _, _ = select.select([pidfd], [], [], timeout_s)
    finally:
        os.close(pidfd)
    if not exited:
        process.kill()
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
