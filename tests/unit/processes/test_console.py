"""The console on every kind of standard file; none of them may hold up the program."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import socket
import subprocess
import sys
import termios
import textwrap
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.display.activity import Activity, Fact
from dfud.processes import console
from dfud.processes.console import CommandInput, ConsoleOutput

F_SETPIPE_SZ = 1031  # fcntl names it from Python 3.10 on


@pytest.fixture
def descriptors() -> Iterator[Callable[..., int]]:
    """A function that registers a descriptor, which is closed at the end, and returns it."""
    kept: list[int] = []

    def keep(descriptor: int) -> int:
        kept.append(descriptor)
        return descriptor

    yield keep
    for descriptor in kept:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def pipe(keep: Callable[..., int]) -> tuple[int, int]:
    reader, writer = os.pipe()
    return keep(reader), keep(writer)


def read_all(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(descriptor, 1 << 16):
            data += part
    return data


def drain(output: ConsoleOutput, reader: int) -> bytes:
    data = read_all(reader)
    while output.has_pending:
        output.flush()
        data += read_all(reader)
    return data


# Output


@pytest.mark.parametrize("can_be_opened_again", [True, False])
def test_a_pipe_without_a_reader_holds_nothing_up(
    descriptors: Callable[..., int], monkeypatch: pytest.MonkeyPatch, can_be_opened_again: bool
) -> None:
    reader, writer = pipe(descriptors)
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    if not can_be_opened_again:  # as if another user had made the pipe (injected)
        monkeypatch.setattr(os, "open", lambda *args: (_ for _ in ()).throw(PermissionError()))
    with contextlib.closing(ConsoleOutput(writer)) as output:
        monkeypatch.undo()
        for number in range(5000):
            output.write_line(f"line {number}")
        assert output.has_pending
        lines = drain(output, reader).decode().splitlines()
        output.write_line("the end")
        lines += drain(output, reader).decode().splitlines()
    assert os.get_blocking(writer), "other processes share it"
    shown = [line for line in lines if line.startswith("line")]
    assert shown == [f"line {number}" for number in range(len(shown))]
    assert lines[-2:] == [f"({5000 - len(shown):,} lines dropped: the output was blocked or full)", "the end"]
    assert len(shown) >= 1000


def test_a_line_longer_than_the_pipe(descriptors: Callable[..., int]) -> None:
    reader, writer = pipe(descriptors)
    with contextlib.closing(ConsoleOutput(writer)) as output:
        output.write_line("x" * 300_000)
        assert drain(output, reader) == b"x" * 300_000 + b"\n"


def test_a_closed_pipe_is_ignored(descriptors: Callable[..., int]) -> None:
    reader, writer = pipe(descriptors)
    with contextlib.closing(ConsoleOutput(writer)) as output:
        os.close(reader)
        for _ in range(3):
            output.write_line("line")
        assert not output.has_pending
    late = ConsoleOutput(writer)  # closed before it was opened
    late.write_line("line")
    assert not late.has_pending
    late.close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_like_that_of_the_journal(kind: socket.SocketKind) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs, contextlib.closing(ConsoleOutput(theirs.fileno())) as output:
        for number in range(3000):
            output.write_line(f"line {number}")
        assert output.has_pending
        assert drain(output, ours.fileno()).startswith(b"line 0\nline 1\n")
        ours.close()
        output.write_line("line")
        output.write_line("line")
        assert not output.has_pending


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file, contextlib.closing(ConsoleOutput(file.fileno())) as output:
        output.write_line("a name \x1b[2J\x07\n\tand more")
    assert (tmp_path / "out").read_bytes() == b"a name \\x1b[2J\\x07\n\tand more\n"


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file, contextlib.closing(ConsoleOutput(file.fileno())) as output:
        output.write_line("größer \udcff")
        output.write_line("2")
        assert not output.has_pending
    assert (tmp_path / "out").read_bytes() == "größer \\xff\n2\n".encode()


def test_a_full_disk_has_room_again(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    output = ConsoleOutput(full)
    for _ in range(3):
        output.write_line("lost")
        assert not output.has_pending
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    os.dup2(target, full)
    output.write_line("line")
    assert (tmp_path / "out").read_bytes() == b"(3 lines dropped: the output was blocked or full)\nline\n"
    os.close(target)
    os.close(full)


def test_a_stopped_terminal(descriptors: Callable[..., int]) -> None:
    master, slave = map(descriptors, pty.openpty())
    tty.setraw(slave)
    with contextlib.closing(ConsoleOutput(slave)) as output:
        assert output.fileno() != slave
        output.write_line("before")
        assert read_all(master) == b"before\n"
        termios.tcflow(slave, termios.TCOOFF)  # as Ctrl-S does
        for _ in range(3):
            output.write_line("while it is stopped")
        assert output.has_pending
        termios.tcflow(slave, termios.TCOON)
        assert drain(output, master).count(b"while it is stopped\n") == 3


def test_what_goes_on_is_shown_below_the_lines_and_removed_at_the_end(
    descriptors: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = map(descriptors, pty.openpty())
    tty.setraw(slave)
    monkeypatch.setattr(console, "is_foreground", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    with contextlib.closing(ConsoleOutput(slave)) as output:
        assert output.due is None
        assert output.show_live(lambda now: Activity((Fact(f"at {now - 1e6:.0f} s"),)))
        output.turn(1e6)
        output.write_line("a line")
        assert b"a line" not in read_all(master), "it comes with the next frame"
        termios.tcflow(slave, termios.TCOOFF)  # as Ctrl-S does
        for number in range(1, 5000):
            output.write_line(f"line {number}")
            output.turn(1e6 + number)
        assert output.has_pending
        assert output.due is None, "a frame was made that nobody reads"
        termios.tcflow(slave, termios.TCOON)
        frames = drain(output, master)
        assert frames.count(b" s\x1b[K") == 1
        output.drain(1.0)
        rest = read_all(master)
    assert rest.startswith(b"\x1b[1A\r\x1b[Jline ")
    assert rest.endswith(b"lines dropped: the output was blocked or too slow)\r\n")
    for mode in (b"\x1b[?", b"\x1bc"):
        assert mode not in frames + rest, "a mode of the terminal was changed"


def test_in_the_background_only_lines_are_written(
    descriptors: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = map(descriptors, pty.openpty())
    tty.setraw(slave)
    monkeypatch.setattr(console, "is_foreground", lambda _: False)
    monkeypatch.setenv("TERM", "xterm")
    with contextlib.closing(ConsoleOutput(slave)) as output:
        output.show_live(lambda _: Activity((Fact("shown"),)))
        output.write_line("a line")
        output.turn(1e6)
        assert read_all(master) == b"a line\r\n"


def test_draining_waits_for_its_timeout_and_no_longer(descriptors: Callable[..., int]) -> None:
    _, writer = pipe(descriptors)
    with contextlib.closing(ConsoleOutput(writer)) as output:
        output.write_line("x" * 300_000)
        began = time.monotonic()
        output.drain(0.05)
        assert 0.04 < time.monotonic() - began < 5


def test_closed_standard_files_are_opened() -> None:
    program = textwrap.dedent("""
        import os
        os.close(0), os.close(2)
        from dfud.processes.console import open_standard_files
        open_standard_files()
        assert os.readlink("/proc/self/fd/0") == os.readlink("/proc/self/fd/2") == os.devnull
        print("good")
        """)
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=30, check=False)
    assert done.stdout == b"good\n"


# Input


@pytest.mark.parametrize("path", [os.devnull, "/dev/zero", __file__])
def test_files_that_send_no_commands_are_not_read(path: str) -> None:
    with open(path) as file:
        assert not CommandInput(file.fileno()).is_open


def test_commands_from_a_pipe(descriptors: Callable[..., int]) -> None:
    reader, writer = pipe(descriptors)
    commands = CommandInput(reader)
    os.write(writer, b"check\n c \n\nQU")
    assert commands.read() == ["check", "check"]
    os.write(writer, b"it\r\nq")
    assert commands.read() == ["quit"]
    os.close(writer)
    assert commands.read() == ["quit"]
    assert not commands.is_open


@pytest.mark.parametrize("junk", [b"some data\nquit\n", b"\xff\x00\n", b"x" * 5000])
def test_a_pipe_with_anything_else_is_not_read_further(descriptors: Callable[..., int], junk: bytes) -> None:
    reader, writer = pipe(descriptors)
    commands = CommandInput(reader)
    os.write(writer, junk)
    assert commands.read() + (commands.read() if commands.is_open else []) == []
    assert not commands.is_open


def test_a_closed_pipe_ends_the_commands(descriptors: Callable[..., int]) -> None:
    reader, writer = pipe(descriptors)
    os.close(writer)
    commands = CommandInput(reader)
    assert commands.is_open
    assert commands.read() == []
    assert not commands.is_open


def test_a_terminal_gets_help(descriptors: Callable[..., int]) -> None:
    master, slave = map(descriptors, pty.openpty())
    commands = CommandInput(slave)
    os.write(master, b"\nhow?\nq\n")
    read: list[str] = []
    while len(read) < 2:
        read += commands.read()
    assert read == ["help", "quit"]
    assert commands.is_open
    os.close(master)
    assert commands.read() == []
    assert not commands.is_open


def test_a_terminal_of_another_job_is_not_read() -> None:
    """Reading would stop a background job of a shell."""
    program = textwrap.dedent("""
        import os, signal
        from dfud.processes.console import CommandInput
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        commands = CommandInput(0)
        foreground = commands.is_in_background
        job = os.fork()
        if job == 0:
            os.setpgid(0, 0)
            before = commands.is_in_background
            os.tcsetpgrp(0, os.getpgrp())
            os._exit(0 if before and not commands.is_in_background else 1)
        print(foreground, os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
        """)
    child, master = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    output = b""
    with contextlib.suppress(OSError):  # EIO: the terminal is closed
        while part := os.read(master, 1000):
            output += part
    os.close(master)
    os.waitpid(child, 0)
    assert output == b"False 0\r\n"
