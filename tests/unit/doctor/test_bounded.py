"""Checks that hang or fail."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

from dfud.doctor.bounded import make_check
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
    (found,) = make_check("disk", 0.2, hang, "disk")
    assert found[:2] == (Level.STOPS, "disk")
    assert "has not ended after 0.2 s" in found.text


def test_a_check_that_fails_or_is_killed_is_a_diagnosis() -> None:
    for check, words in ((fail, "Permission denied"), (die, "was killed by SIGKILL")):
        (found,) = make_check("disk", 30, check)
        assert found[:2] == (Level.STOPS, "disk")
        assert words in found.text


def test_what_was_not_looked_at_does_not_count() -> None:
    assert exit_status([]) == 0
    assert exit_status([skipped("a", ""), fine("b", "")]) == 0
    assert exit_status([warning("a", ""), fine("b", "")]) == 1
