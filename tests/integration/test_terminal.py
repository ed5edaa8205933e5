"""The upload as a job of a shell on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import textwrap
from pathlib import Path

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
        os.execv(words[0], words)
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
