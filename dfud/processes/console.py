"""The console: lines go out without ever waiting, and commands come in."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import time
from collections import deque

_MAX_LINES_WAITING = 1000
_FULL = (errno.ENOSPC, errno.EDQUOT)
_COMMANDS = {"q": "quit", "quit": "quit", "c": "check", "check": "check"}


def open_standard_files() -> None:
    """Open ``/dev/null`` in the place of closed standard files, so that no other file gets their number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


class ConsoleOutput:
    """Lines for a terminal, a pipe or a file; a reader that is slow or gone never holds up the program."""

    def __init__(self, descriptor: int = 1) -> None:
        self._lines: deque[tuple[bytes, int]] = deque()  # each with the number of lines that it stands for
        self._dropped = 0
        self._closed = False
        self._socket: socket.socket | None = None
        self._descriptor = self._given = descriptor
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(kind):  # the journal of systemd
            self._socket = socket.socket(fileno=os.dup(descriptor))
        elif stat.S_ISFIFO(kind) or os.isatty(descriptor):
            # Not to wait is a property of the open file, which we share with the shell and others: open our own.
            with contextlib.suppress(OSError):
                self._descriptor = os.open(
                    f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                )

    def fileno(self) -> int:
        return self._descriptor

    @property
    def has_pending(self) -> bool:
        """Whether lines wait for the reader."""
        return bool(self._lines) and not self._closed

    def write_line(self, text: str) -> None:
        """Put out one line as soon as the reader takes it; where too many wait, this one is only counted."""
        if self._closed:
            return
        if len(self._lines) >= _MAX_LINES_WAITING:
            self._dropped += 1
            return
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        if self._dropped:
            line = b"(%d lines are left out: nobody took them)\n" % self._dropped + line
        self._lines.append((line, self._dropped + 1))
        self._dropped = 0
        self.flush()

    def flush(self) -> None:
        """Put out what the reader takes now."""
        while self._lines and not self._closed:
            line, stands_for = self._lines[0]
            try:
                count = self._write(line)
            except BlockingIOError:
                return
            except OSError as problem:
                self._closed = problem.errno not in _FULL  # a disk may have room again; a reader has gone for good
                self._dropped += sum(count for _, count in self._lines)
                self._lines.clear()
                return
            if count < len(line):
                self._lines[0] = line[count:], stands_for
                return
            self._lines.popleft()

    def drain(self, seconds: float) -> None:
        """Give the reader so many seconds to take what is left."""
        deadline = time.monotonic() + seconds
        while self.has_pending and time.monotonic() < deadline:
            select.select([], [self._descriptor], [], max(0.0, deadline - time.monotonic()))
            self.flush()

    def close(self) -> None:
        """Let go of what was opened here; the descriptor that was given stays open."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()
        if self._descriptor != self._given:
            os.close(self._descriptor)
            self._descriptor = self._given

    def _write(self, line: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(line, socket.MSG_DONTWAIT)
        if os.get_blocking(self._descriptor) and not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            # It could not be opened once more: what the kernel calls writable takes this much.
            if not select.select([], [self._descriptor], [], 0)[1]:
                raise BlockingIOError
            line = line[: select.PIPE_BUF]
        return os.write(self._descriptor, line)


class CommandInput:
    """Commands from a terminal, or from a pipe that sends nothing else."""

    def __init__(self, descriptor: int = 0) -> None:
        kind = os.fstat(descriptor).st_mode
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)
        self._rest = b""
        self.is_open = self._is_terminal or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)

    def fileno(self) -> int:
        return self._descriptor

    @property
    def is_in_background(self) -> bool:
        """Whether the terminal belongs to another job now: reading it would stop us."""
        if not self._is_terminal:
            return False
        try:
            return os.tcgetpgrp(self._descriptor) != os.getpgrp()
        except OSError:
            return False

    def read(self) -> list[str]:
        """Return the commands that have come; at its end, or at what is none in a pipe, `is_open` turns false."""
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            self.is_open = False
            data = b"\n"  # the last line may have no end
        *lines, self._rest = (self._rest + data).split(b"\n")
        commands = []
        for line in lines:
            word = line.decode("utf-8", "replace").strip().lower()
            if word in _COMMANDS:
                commands.append(_COMMANDS[word])
            elif word and not self._is_terminal:
                self.is_open = False
                break
            elif word:
                commands.append("help")
        if len(self._rest) > 4096:
            self._rest = b""
            self.is_open = self._is_terminal
        return commands
