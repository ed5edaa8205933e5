"""What is shown of an upload and of a receiver, in columns: the same at a terminal and on a page."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from dfud.core.elapsed import duration, seconds_since
from dfud.core.sizes import shown_size
from dfud.fleet.receivers import Receiver
from dfud.fleet.verdict import State, Upload

_NOTHING = "-"


class Column(NamedTuple):
    """One column of a table."""

    title: str
    is_number: bool = False
    enough: int = 0  # character cells that a text should have that may be cut; 0 for one that is never cut
    rank: int = 0  # where there is no room, the columns of the highest rank are left out first


UPLOAD_COLUMNS = (
    Column("LEVEL"),
    Column("STATE"),
    Column("UPLOAD", enough=36),
    Column("TOPIC", enough=16, rank=2),
    Column("WAITING", is_number=True),
    Column("SIZE", is_number=True, rank=3),
    Column("OLDEST", is_number=True),
    Column("FAILED", is_number=True, rank=4),
    Column("RATE", is_number=True, rank=5),
    Column("FREE", is_number=True),
    Column("HEARD", is_number=True),
    Column("BROKER", rank=6),
)

RECEIVER_COLUMNS = (
    Column("RECEIVER", enough=30),
    Column("TOPIC", enough=20),
    Column("RECEIPTS", is_number=True),
    Column("LAST", is_number=True),
    Column("BEHIND", is_number=True),
    Column("UNREAD", is_number=True),
    Column("LACKS", is_number=True, rank=3),
    Column("LEFT", is_number=True, rank=2),
    Column("LOST", is_number=True, rank=1),
)


def upload_cells(upload: Upload) -> tuple[str, ...]:
    """Return the texts for `UPLOAD_COLUMNS`; those of strangers are not shortened."""
    level, state, heard = upload.level.name.lower(), upload.state.value, duration(upload.age_s)
    details = upload.details
    if details is None:
        return (level, state, upload.name, *(_NOTHING,) * 7, heard, _NOTHING)
    is_running = upload.state in (State.ALIVE, State.LATE)
    oldest = duration(details.oldest.age_s) if details.oldest else _NOTHING
    free = details.directory_free_bytes
    free = details.recording.free_bytes if free is None else free
    return (
        level,
        state,
        upload.name,
        details.topic,
        f"{details.backlog.files:,}",
        shown_size(details.backlog.bytes) if details.backlog.files else _NOTHING,
        oldest,
        f"{details.failures.failed:,}" if details.failures.failed else _NOTHING,
        f"{shown_size(max(0, round(details.rates.bytes)))}/s" if is_running and details.rates.bytes else _NOTHING,
        _NOTHING if free is None else shown_size(free),
        heard,
        details.broker.state if is_running else _NOTHING,
    )


def receiver_cells(receiver: Receiver, at_s: float) -> tuple[str, ...]:
    """Return the texts for `RECEIVER_COLUMNS`; `at_s` is now (since 1970)."""
    last_s = seconds_since(receiver.last, datetime.fromtimestamp(at_s, timezone.utc))
    behind = _NOTHING if receiver.behind_s is None else duration(receiver.behind_s)
    lag = receiver.lag
    unread = _NOTHING if lag is None else f"{lag.unread:,}"
    lost = f"{lag.lost:,}" if lag is not None and lag.lost else _NOTHING
    return (
        receiver.name,
        receiver.topic,
        f"{receiver.receipts:,}",
        duration(last_s),
        behind,
        unread,
        *_guard_cells(receiver),
        lost,
    )


def _guard_cells(receiver: Receiver) -> tuple[str, str]:
    left = _NOTHING if receiver.left_s is None else duration(receiver.left_s)
    return (_NOTHING, _NOTHING) if receiver.lacking is None else (f"{receiver.lacking:,}", left)
