"""The console: lines go out without ever waiting, and commands come in.

By hand, because `print` and `logging.StreamHandler` wait for the reader: a terminal stopped with Ctrl-S or a stuck
pipe would stop the upload, and a thread that waits in their place would be in the way of every fork.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import termios
import time
from collections import deque
from typing import TYPE_CHECKING

from dfud.core.text import LAYOUT, counted, escaped
from dfud.display.activity import Describe
from dfud.display.terminal import is_foreground, live_look, terminal_size
from dfud.logs.journal import is_journal

if TYPE_CHECKING:
    from dfud.display.live import Frame, LiveDisplay

_MAX_PENDING_LINES = 1000
_MAX_COMMAND_BYTES = 4096
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
HINT = 'type "check" or "c" to see what is in progress, "quit" or "q" to end'
_COMMANDS = {"q": "quit", "quit": "quit", "c": "check", "check": "check"}


def open_standard_files() -> None:
    """Open ``/dev/null`` in place of closed standard files, so that no other file gets their descriptor."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor: this one


class ConsoleOutput:
    """Writes lines to a terminal, a pipe or a file; a slow or closed reader never holds up the program.

    At a terminal it may also show what goes on, below the lines. It has no timer of its own: whoever uses it calls
    `turn`.
    """

    def __init__(self, descriptor: int = 1) -> None:
        """Write to `descriptor`, which stays the caller's to close."""
        self._lines: deque[tuple[bytes, int]] = deque()  # each with the number of lines that are lost with it
        self._dropped = 0
        self._closed = False
        self._live: LiveDisplay | None = None
        self._socket: socket.socket | None = None
        self._descriptor = self._original = descriptor
        self.is_journal = is_journal(descriptor)
        self.is_terminal = os.isatty(descriptor)
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):  # systemd's journal
            self._socket = socket.socket(fileno=os.dup(descriptor))
        elif stat.S_ISFIFO(mode) or self.is_terminal:
            # O_NONBLOCK belongs to the open file, which we share with the shell and others: open it once more.
            with contextlib.suppress(OSError):
                self._descriptor = os.open(
                    f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                )

    def fileno(self) -> int:
        """Return the descriptor to wait on: writable if `flush` can write something."""
        return self._descriptor

    @property
    def has_pending(self) -> bool:
        """Whether lines wait to be written."""
        return bool(self._lines) and not self._closed

    def write_line(self, text: str) -> None:
        """Write one line as soon as the reader takes it; if too many lines wait already, only count it."""
        if self._closed:
            return
        if self._live is not None:
            self._live.add_line(text)
            return
        if len(self._lines) >= _MAX_PENDING_LINES:
            self._dropped += 1
            return
        line = escaped(text, LAYOUT).encode("utf-8", "backslashreplace") + b"\n"
        if self._dropped:
            line = f"({counted(self._dropped, 'line')} dropped: the output was blocked or full)\n".encode() + line
        self._lines.append((line, self._dropped + 1))
        self._dropped = 0
        self.flush()

    def flush(self) -> None:
        """Write as much as the reader takes without waiting."""
        while self._lines and not self._closed:
            line, n_lines = self._lines[0]
            try:
                count = self._write(line)
            except BlockingIOError:
                return
            except OSError as error:
                self._closed = error.errno not in _DISK_FULL  # a disk may have room again; a reader never returns
                self._dropped += sum(count for _, count in self._lines)
                self._lines.clear()
                return
            if count < len(line):
                self._lines[0] = line[count:], n_lines
                return
            self._lines.popleft()

    # -- what goes on

    def show_live(self, describe: Describe) -> bool:
        """Show below the lines what `describe` says at a time (s, monotonic), until `drain`; say whether it does.

        Only a terminal that can draw lines again does.
        """
        look = live_look(self._descriptor, os.environ)
        if look is None:
            return False
        from dfud.display.live import LiveDisplay  # with rich, of which nothing else makes any use

        self._live = LiveDisplay(look, describe, time.monotonic())
        return True

    @property
    def due(self) -> float | None:
        """When `turn` has something to do (s, monotonic); None if that is not known."""
        return None if self._live is None or self._lines or self._closed else self._live.due

    def turn(self, now: float) -> None:
        """Show how things are at `now` (s, monotonic) if it is time, and the terminal is not stopped."""
        due = self.due
        if self._live is None or due is None or due > now:
            return
        size = terminal_size(self._descriptor)
        if is_foreground(self._descriptor):
            self._write_frame(self._live.frame(now, size))
        else:  # the shell and its other jobs write there, too
            self._live.forget()
            self._write_frame(self._live.end(size))
            self._live.rest(now)

    def wake(self) -> None:
        """Take note that something has happened, and may have to be shown."""
        if self._live is not None:
            self._live.wake()

    def on_enter(self, n_lines: int) -> None:
        """Take note that the user has sent off lines, which the terminal shows."""
        if self._live is not None:
            self._live.on_enter(n_lines)

    def on_continued(self) -> None:
        """Take note that this process was stopped, and others have used the terminal."""
        if self._live is not None:
            self._live.forget()

    def _write_frame(self, frame: Frame) -> None:
        if frame.codes:
            self._lines.append((frame.codes.encode("utf-8", "backslashreplace"), frame.n_lines))
            self.flush()

    def drain(self, timeout_s: float) -> None:
        """Write what is left, waiting at most `timeout_s` for the reader to take it; what goes on is removed."""
        if self._live is not None and not self._closed:
            self._write_frame(self._live.end(terminal_size(self._descriptor)))
            self._live = None
        deadline = time.monotonic() + timeout_s
        while self.has_pending and time.monotonic() < deadline:
            select.select([], [self._descriptor], [], max(0.0, deadline - time.monotonic()))
            self.flush()

    def close(self) -> None:
        """Close what was opened here; the descriptor that was passed in stays open."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()
        if self._descriptor != self._original:
            os.close(self._descriptor)
            self._descriptor = self._original

    def _write(self, line: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(line, socket.MSG_DONTWAIT)
        if os.get_blocking(self._descriptor) and not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            # It could not be opened once more; if select(2) calls it writable, it takes this much without waiting.
            if not select.select([], [self._descriptor], [], 0)[1]:
                raise BlockingIOError
            line = line[: select.PIPE_BUF]
        return os.write(self._descriptor, line)


class CommandInput:
    """Reads the user's commands from a terminal, or from a pipe or socket that carries nothing else."""

    def __init__(self, descriptor: int = 0) -> None:
        """Read from `descriptor`; `is_open` is false from the start if it is not one that sends commands."""
        mode = os.fstat(descriptor).st_mode
        self._descriptor = descriptor
        self.is_terminal = os.isatty(descriptor)
        self._rest = b""
        self.n_echoed = 0  # lines of the last `read` that the terminal has shown
        self.is_open = self.is_terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

    def fileno(self) -> int:
        """Return the descriptor to wait on: readable if there is something to `read`."""
        return self._descriptor

    @property
    def is_in_background(self) -> bool:
        """Whether another job has the terminal now: reading from it would stop this process (SIGTTIN)."""
        if not self.is_terminal:
            return False
        try:
            return os.tcgetpgrp(self._descriptor) != os.getpgrp()
        except OSError:
            return False

    def read(self) -> list[str]:
        """Return the commands that have arrived: "quit", "check", or "help" for what a user mistyped.

        At the end of the input, and at anything but a command in a pipe, `is_open` becomes false.
        """
        try:
            data = os.read(self._descriptor, _MAX_COMMAND_BYTES)
        except OSError:
            data = b""
        if not data:
            self.is_open = False
            data = b"\n"  # the last line need not be terminated
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.n_echoed = len(lines) if self._has_echo() else 0
        commands = []
        for line in lines:
            word = line.decode("utf-8", "replace").strip().lower()
            if word in _COMMANDS:
                commands.append(_COMMANDS[word])
            elif word and not self.is_terminal:
                self.is_open = False
                break
            elif word:
                commands.append("help")
        if len(self._rest) > _MAX_COMMAND_BYTES:
            self._rest = b""
            self.is_open = self.is_terminal
        return commands

    def _has_echo(self) -> bool:
        try:
            return self.is_terminal and bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)
        except termios.error:
            return False
