"""The upload as a job of a shell on a terminal."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.helpers.screen import Screen
from tests.helpers.uploading import command

SHELL = textwrap.dedent("""
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = subprocess.Popen(sys.argv[1:], preexec_fn=os.setpgrp, stdout=subprocess.PIPE, bufsize=0)

    def wait_for(text):
        line = b""
        while text not in line:
            line = job.stdout.readline()
            assert line, "it ended"

    def listens():
        folder = f"/proc/{job.pid}"
        for number in os.listdir(f"{folder}/fd"):
            if "eventpoll" in os.readlink(f"{folder}/fd/{number}"):
                with open(f"{folder}/fdinfo/{number}") as info:
                    return any(line.split()[:2] == ["tfd:", "0"] for line in info)

    wait_for(b"watching")
    print("in the background", flush=True)
    while listens():  # until the job has seen the input and that it is not in the foreground
        time.sleep(0.005)
    assert input() == "for the shell"
    print("got it", flush=True)
    os.tcsetpgrp(0, job.pid)
    wait_for(b"files enqueued or in progress")
    job.communicate()
    print("ended", job.returncode, flush=True)
    """)


def test_a_job_reads_commands_only_in_the_foreground(tmp_path: Path, config_file: Path, topic: str) -> None:
    top = tmp_path / "top"
    top.mkdir()
    shell, terminal = pty.fork()
    if shell == 0:
        words = command(top, config_file, topic, "--update_seconds", -1)
        os.execv(sys.executable, [sys.executable, "-c", SHELL, *words])
    output = b""

    def read_until(text: bytes) -> None:
        nonlocal output
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while text not in output:
                output += os.read(terminal, 1000)
        assert text in output, output

    try:
        read_until(b"in the background")
        os.write(terminal, b"for the shell\n")  # which also wakes the job, which must not read it
        read_until(b"got it")
        os.write(terminal, b"check\nquit\n")
        read_until(b"ended 0")
    finally:
        os.close(terminal)
        os.waitpid(shell, 0)


def test_a_terminal_is_told_what_can_be_typed(tmp_path: Path, config_file: Path, topic: str) -> None:
    top = tmp_path / "top"
    top.mkdir()
    upload, terminal = pty.fork()
    if upload == 0:
        words = command(top, config_file, topic, "--update_seconds", -1)
        os.execve(words[0], words, {**os.environ, "TERM": "dumb"})
    output = b""
    try:
        while b"watching" not in output:
            output += os.read(terminal, 1000)
        assert output.count(b'type "check" or "c" to see what is in progress, "quit" or "q" to end\r\n') == 1
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while part := os.read(terminal, 1000):
                output += part
        assert b"SIGINT: finishing what is enqueued; a second Ctrl-C stops immediately\r\n" in output
        assert b"all files detected are on the topic and recorded\r\n" in output
    finally:
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(upload, 0)[1]) == 0


def test_a_terminal_shows_what_goes_on_and_is_left_as_it_was(
    tmp_path: Path, config_file: Path, topic: str
) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "name\x1b[2J\x9b").write_bytes(b"x" * 50_000)
    screen = Screen(80, 24)
    shown = codecs.getincrementaldecoder("utf-8")()
    upload, terminal = pty.fork()
    if upload == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", screen.rows, screen.columns, 0, 0))
        words = command(top, config_file, topic, "--update_seconds", -1, "--upload_existing")
        os.execve(words[0], words, {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": ""})
    modes = termios.tcgetattr(terminal)

    def read_until(is_there: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while not is_there():
                screen.feed(shown.decode(os.read(terminal, 1000)))

    try:
        # The line about a file may come after what is shown below: lines are collected for a moment.
        acknowledged = "name\\x1b[2J\\x9b: all 4 chunks acknowledged"
        read_until(
            lambda: (
                acknowledged in screen.lines
                and screen.lines[-2:-1] == ["1 file done  50.0 kB sent  broker reachable  waiting for files"]
            )
        )
        assert os.listdir(f"/proc/{upload}/task") == [str(upload)], "it forks, so it must not have threads"
        os.write(terminal, b"check\n")
        read_until(lambda: "0 files enqueued or in progress: 0 of 0 chunks acknowledged" in screen.lines)
        assert termios.tcgetattr(terminal) == modes
        os.write(terminal, b"quit\n")
        read_until(lambda: False)
    finally:
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(upload, 0)[1]) == 0
    lines = screen.lines
    assert lines.index(acknowledged) < lines.index("check") < lines.index("quit")
    assert lines[-3].startswith("summary: 1 file, 1 version, 50.0 kB, ")
    assert lines[-2:] == ["all files detected are on the topic and recorded", ""]
    assert not any("broker reachable" in line for line in lines), "what was shown is left behind"
