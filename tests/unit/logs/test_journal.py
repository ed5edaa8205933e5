"""Whether what is written goes to systemd's journal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from dfud.logs.journal import is_journal


def stream(connection: socket.socket) -> str:
    """Return what systemd would say of a connection to the journal."""
    status = os.fstat(connection.fileno())
    return f"{status.st_dev}:{status.st_ino}"


def test_the_journal_is_known_by_its_device_and_inode(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_journal(theirs.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", stream(theirs))
        assert is_journal(theirs.fileno())
        assert not is_journal(ours.fileno()), "the output was redirected"
        closed = theirs.fileno()
    assert not is_journal(closed)


def test_errors_of_the_command_have_their_priority_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environment = {**os.environ, "JOURNAL_STREAM": stream(theirs)}
        words = [sys.executable, "-m", "dfud", "upload"]
        assert subprocess.run(words, stderr=theirs.fileno(), env=environment, check=False).returncode == 2
        assert ours.recv(1000).startswith(b"<3>dfud: ")
