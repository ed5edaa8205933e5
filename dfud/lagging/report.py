"""What ``dfud lag`` prints: a line for each receiver, or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone

from dfud.core.elapsed import duration, seconds_since
from dfud.core.sizes import shown_size
from dfud.core.text import escaped, printable
from dfud.lagging.lag import Basis, ReceiverLag, TopicLag

_HEADINGS = ("receiver", "files", "size", "oldest", "time left", "lost", "last receipt", "first file")
_MAX_NAME_CHARS = 60
_UNKNOWN = "?"


def text_report(lag: TopicLag, within_s: float, now: datetime | None = None) -> Iterator[str]:
    """Yield the lines of the table."""
    now = now or datetime.now(timezone.utc)
    yield f"topic {lag.topic}: {lag.retention}"
    rows = [_HEADINGS, *(_cells(each, now) for each in lag.receivers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths)]
        yield "  ".join([*cells, row[-1]]).rstrip()
    if not lag.receivers:
        yield f"there are no receipts of topic {lag.topic}; --receivers names a receiver that has sent none yet"
    yield from (line for each in lag.receivers for line in _troubles(lag, each, within_s))


def _cells(lag: ReceiverLag, now: datetime) -> tuple[str, ...]:
    name = escaped(lag.receiver)
    if len(name) > _MAX_NAME_CHARS:
        name = f"{name[: _MAX_NAME_CHARS - 1]}…"
    about = "about " if lag.basis is Basis.OFFSETS and lag.n_files else ""
    left = "-"
    if lag.left_s is not None:
        left = duration(lag.left_s) if lag.left_s > 0 else "over"
    elif lag.age_s is not None:
        left = "no limit"
    return (
        name,
        _UNKNOWN if lag.n_files is None else f"{about}{lag.n_files:,}",
        _UNKNOWN if lag.n_bytes is None else about + shown_size(lag.n_bytes),
        "-" if lag.age_s is None else duration(lag.age_s),
        left if lag.n_files is not None else _UNKNOWN,
        f"{lag.n_lost:,}" if lag.n_lost else "-",
        f"{duration(seconds_since(lag.last_receipt, now))} ago" if lag.last_receipt else "never",
        printable(lag.oldest) or "-",
    )


def _troubles(lag: TopicLag, receiver: ReceiverLag, within_s: float) -> Iterator[str]:
    name = escaped(receiver.receiver)
    unit = "files are" if receiver.basis is Basis.TABLES else "messages are"
    if receiver.n_lost:
        yield (
            f"{name}: {receiver.n_lost:,} {unit} no longer on the topic, and were not received; `dfud upload "
            "--guard --resend` sends again what is still in DIR"
        )
    if receiver.left_s is not None and receiver.left_s <= within_s:
        when = f"in {duration(receiver.left_s)}" if receiver.left_s > 0 else "at any moment"
        yield (
            f"{name}: retention may take what it has not received {when}; raise {_setting(lag)} of topic "
            f"{lag.topic}, or let it receive"
        )
    if receiver.basis is Basis.NOTHING:
        yield f"{name}: how far it has read is not known; give DIR, if you upload here, to compare with its tables"


def _setting(lag: TopicLag) -> str:
    limits = {"retention.ms": lag.retention.ms, "retention.bytes": lag.retention.bytes}
    return " or ".join(name for name, value in limits.items() if value is not None)


def json_report(lag: TopicLag, within_s: float) -> str:
    """Return the same as one JSON object."""
    retention = lag.retention
    fields = {
        "topic": lag.topic,
        "retention_ms": retention.ms,
        "retention_bytes": retention.bytes,
        "is_compacted": retention.compacts,
        "warnings": lag.warnings,
        "receivers": [_fields(each, within_s) for each in lag.receivers],
    }
    return json.dumps(fields, indent=2)


def _fields(lag: ReceiverLag, within_s: float) -> dict[str, object]:
    return {
        "receiver": lag.receiver,
        "basis": lag.basis.value,
        "files": lag.n_files,
        "bytes": lag.n_bytes,
        "oldest": os.fsdecode(lag.oldest) if lag.oldest else None,
        "age_s": _rounded(lag.age_s),
        "left_s": _rounded(lag.left_s),
        "lost": lag.n_lost,
        "last_receipt": lag.last_receipt or None,
        "is_due": lag.is_due(within_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
