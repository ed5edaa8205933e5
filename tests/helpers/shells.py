"""A shell that runs a block of commands of a document."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_WAIT_S = 120.0


class Terminal:
    """A shell that runs a block of commands, and what it has printed."""

    def __init__(self, block: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            ["sh", "-e", "-c", block],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        self.lines: list[str] = []

    def wait_for(self, pattern: str) -> None:
        """Read lines until one matches."""
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, ""):
            self.lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return
        pytest.fail(f"it ended without {pattern!r}: {self.lines}")

    def end(self, text: str = "", number: int | None = None) -> int:
        """Type something or send a signal, as the terminal does to the job; return the exit status."""
        if number is not None:
            os.killpg(self.process.pid, number)
        self.lines += self.process.communicate(text, _WAIT_S)[0].splitlines()
        return self.process.returncode

    def kill(self) -> None:
        """Kill what still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
