"""What ``dfud doctor`` prints: a line for each diagnosis, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable

from dfud import __version__
from dfud.core.text import counted, escaped
from dfud.doctor.diagnosis import Diagnosis, Level, exit_status

_MARKS = {Level.SKIPPED: "-", Level.FINE: "ok", Level.WARNING: "WARNING", Level.STOPS: "STOPS"}
_WIDTH = max(map(len, _MARKS.values()))
_SUBJECT_WIDTH = len("configuration")


def line(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a line for the user."""
    level, subject, text = diagnosis
    return f"{_MARKS[level]:{_WIDTH}}  {subject:{_SUBJECT_WIDTH}}  {escaped(text)}"


def summary(diagnoses: Iterable[Diagnosis]) -> str:
    """Return the last line."""
    levels = [each.level for each in diagnoses]
    n_stops, n_warnings = levels.count(Level.STOPS), levels.count(Level.WARNING)
    warnings = counted(n_warnings, "warning")
    if n_stops:
        return f"{counted(n_stops, 'thing')} would stop this upload, {warnings}"
    return f"nothing that is known would stop this upload, {warnings}" if n_warnings else "all is fine"


def as_json(directory: str, topic: str, diagnoses: list[Diagnosis]) -> str:
    """Return all of it for machines."""
    report = {
        "format": 1,
        "version": __version__,
        "directory": escaped(directory),
        "topic": topic,
        "exit_status": exit_status(diagnoses),
        "diagnoses": [
            {"level": each.level.name.lower(), "subject": each.subject, "text": escaped(each.text)}
            for each in diagnoses
        ],
    }
    return json.dumps(report, indent=2)
