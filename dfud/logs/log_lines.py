"""The form of a line in the log: text for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from dfud.core.text import LAYOUT, escaped, printable

TEXT, JSON = "text", "json"  # forms
_ABOUT = ("file", "chunk", "cause")  # what a record may be about, besides its text


def about(file: bytes | None = None, chunk: str | None = None, cause: str | None = None) -> dict[str, Any]:
    """Return what a record is about, as the `extra` of a logger's methods.

    `file` is a path below the directory, `chunk` is "3/17", or "3-5/17" for several, and `cause` says why it
    happened.
    """
    return {"file": None if file is None else printable(file), "chunk": chunk, "cause": cause}


class ConsoleFormatter(logging.Formatter):
    """Lines for the console, with their level from WARNING on."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text = record.getMessage()
        return f"{record.levelname}: {text}" if record.levelno >= logging.WARNING else text


class FileFormatter(logging.Formatter):
    """Lines for the log file, with level and time, as the tables have it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return f"{_iso(record.created)} {record.levelname} {record.getMessage()}"


class JsonFormatter(logging.Formatter):
    """An object for each record: time, level, message, what all records have, and what this one is about."""

    def __init__(self, common: Mapping[str, Any]) -> None:
        """Let all records have the fields `common`."""
        super().__init__()
        self._common = common

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = {
            "time": _iso(record.created),
            "level": record.levelname.lower(),
            "message": escaped(record.getMessage(), LAYOUT),
            **self._common,
        }
        for name in _ABOUT:
            value = getattr(record, name, None)
            if value:
                fields[name] = escaped(value, LAYOUT)
        return json.dumps(fields, ensure_ascii=False)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone().isoformat(timespec="milliseconds")
