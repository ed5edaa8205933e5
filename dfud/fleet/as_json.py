"""The fleet as JSON, for machines."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec

from dfud.fleet.receivers import Receiver
from dfud.fleet.snapshot import Snapshot
from dfud.fleet.verdict import Upload


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """Return what is known of a fleet."""
    return {
        "format": 1,
        "made": _time(snapshot.at_s),
        "heartbeat_topic": snapshot.heartbeats,
        "receipts_topic": snapshot.receipts,
        "level": snapshot.level.name.lower(),
        "summary": snapshot.summary(),
        "uploads": [_upload(upload) for upload in snapshot.uploads],
        "receivers": [_receiver(each) for each in snapshot.receivers],
        "notes": list(snapshot.notes),
    }


def _upload(upload: Upload) -> dict[str, object]:
    program = upload.program
    return {
        "program_id": program.id,
        "state": upload.state.value,
        "level": upload.level.name.lower(),
        "findings": [{"level": level.name.lower(), "text": text} for level, text in upload.findings],
        "heartbeat": _time(program.at_s),
        "age_s": round(upload.age_s, 3),
        "interval_s": upload.interval_s,
        **program.counts._asdict(),
        "dfud": None if program.details is None else msgspec.to_builtins(program.details),
    }


def _receiver(receiver: Receiver) -> dict[str, object]:
    lag = receiver.lag
    return {
        "receiver": receiver.name,
        "topic": receiver.topic,
        "receipts": receiver.receipts,
        "last_receipt": receiver.last,
        "behind_s": None if receiver.behind_s is None else round(receiver.behind_s, 3),
        "unread": None if lag is None else lag.unread,
        "lost": None if lag is None else lag.lost,
        "lacking": receiver.lacking,
        "left_s": receiver.left_s,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
