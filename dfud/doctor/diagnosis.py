"""What a check of the doctor has found."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """What a diagnosis means for an upload."""

    SKIPPED = -1  # not looked at, because of something that has a diagnosis of its own
    FINE = 0
    WARNING = 1  # it runs, although something is weaker, slower or soon at its end
    STOPS = 2  # it is refused, or sends nothing


class Diagnosis(NamedTuple):
    """One thing that was looked at, in one line that says what to do about it."""

    level: Level
    subject: str
    text: str


def fine(subject: str, text: str) -> Diagnosis:
    """Return the diagnosis that something is as it should be."""
    return Diagnosis(Level.FINE, subject, text)


def warning(subject: str, text: str) -> Diagnosis:
    """Return the diagnosis of something that is worth changing."""
    return Diagnosis(Level.WARNING, subject, text)


def stops(subject: str, text: str) -> Diagnosis:
    """Return the diagnosis of something that stops an upload."""
    return Diagnosis(Level.STOPS, subject, text)


def skipped(subject: str, text: str) -> Diagnosis:
    """Return the diagnosis of something that was not looked at."""
    return Diagnosis(Level.SKIPPED, subject, text)


def exit_status(diagnoses: Iterable[Diagnosis]) -> int:
    """Return 0 if all is fine, 1 if there are warnings, and 2 if something stops an upload."""
    return max((int(each.level) for each in diagnoses if each.level is not Level.SKIPPED), default=0)
