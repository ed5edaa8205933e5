"""Checks that hang or fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.doctor.bounded import Check, make_checks
from dfud.doctor.diagnosis import Diagnosis, Level, exit_status, fine, skipped, warning


def hang(subject: str) -> Iterator[Diagnosis]:
    yield fine(subject, "begun")
    signal.pause()


def fail() -> Iterator[Diagnosis]:
    raise PermissionError(13, "Permission denied", "/proc/kcore")
    yield


def die() -> Iterator[Diagnosis]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield fine("", "")


def test_a_check_that_hangs_ends_in_time() -> None:
    late, (other,) = make_checks(5, Check("disk", hang, ("disk",)), Check("x", lambda: [fine("x", "")], ()))
    assert other.level is Level.FINE
    (found,) = late
    assert found[:2] == (Level.STOPS, "disk")
    assert "has not ended after 5 s" in found.text


def test_a_check_that_fails_or_is_killed_is_a_diagnosis() -> None:
    for check, words in ((fail, "Permission denied"), (die, "was killed by SIGKILL")):
        ((found,),) = make_checks(30, Check("disk", check, ()))
        assert found[:2] == (Level.STOPS, "disk")
        assert words in found.text


def test_what_was_not_looked_at_does_not_count() -> None:
    assert exit_status([]) == 0
    assert exit_status([skipped("a", ""), fine("b", "")]) == 0
    assert exit_status([warning("a", ""), fine("b", "")]) == 1


def test_a_file_system_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    """It is one of FUSE whose server never answers."""
    program = textwrap.dedent("""
        import ctypes, os, sys
        from dfud.commands.main import main
        from dfud.doctor import examination
        directory, config = sys.argv[1:]
        try:
            descriptor = os.open("/dev/fuse", os.O_RDWR)
        except OSError:
            sys.exit("no FUSE")
        options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0".encode()
        if ctypes.CDLL(None).mount(b"dfud", directory.encode(), b"fuse", 0, options):
            sys.exit("no FUSE")
        examination._LOCAL_TIMEOUT_S = 1.0
        main(["doctor", directory, "--config", config, "--topic_name", "T", "--quiet"])
        """)
    directory = tmp_path / "hung"
    directory.mkdir()
    words = ["unshare", "--mount", "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(
        [*words, str(directory), str(directory / "the.config")],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    if "unshare failed" in done.stderr or "no FUSE" in done.stderr:
        pytest.skip("cannot mount a file system of FUSE here")
    assert done.returncode == 2, done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines[:3]] == [
        ["STOPS", "configuration"],
        ["STOPS", "directory"],
        ["STOPS", "LOGS"],
    ], done.stdout
    assert all("has not ended after 1 s: a file system" in text for _, _, text in lines[:3])
