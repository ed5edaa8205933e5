"""LOGS of an upload that never was: many files completed, some under way, some failed, the broker away."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow, format_row, format_table, in_progress_row
from dfud.core.version import FileVersion
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import (
    Backlog,
    BrokerStatus,
    Cause,
    Failures,
    OldestFile,
    Rates,
    UploadStatus,
    encode_status,
)

_CHUNK_SIZE = 1 << 19
TOPIC = "beamline7"


def write_sample(directory: Path, number: int, now: datetime, hours: float = 9.0) -> LogsFolder:
    """Write LOGS of a run that has completed `number` files in the last `hours`; return it."""
    logs = LogsFolder(str(directory), TOPIC)
    os.makedirs(logs.path, exist_ok=True)
    with open(logs.completed, "w", encoding="utf-8", newline="") as table:
        table.write(format_table(CompletedRow, []))
        table.writelines(map(format_row, _completed(number, now, hours)))
    since = (now - timedelta(minutes=4)).isoformat(timespec="milliseconds")
    write_in_progress_table(
        logs,
        [
            in_progress_row(
                FileVersion(f"scan_{9000 + n}/frames.h5".encode(), 7_000_000_000 + n, 1),
                _CHUNK_SIZE,
                RangeSet([(1, 4_000 * (3 - n))] if n < 3 else []),
                since,
            )
            for n in range(8)
        ],
    )
    Path(logs.status).write_bytes(encode_status(_status(str(directory), now, since, hours)))
    return logs


def _completed(number: int, now: datetime, hours: float) -> Iterator[CompletedRow]:
    """Yield rows that come in bursts, as scans do, with a long break."""
    dice = random.Random(number)
    for n in range(number):
        share = n / number
        ago_h = hours * (1 - share * 0.55 - (0.4 if share > 0.6 else 0.0)) - dice.random() / 20
        time = (now - timedelta(hours=max(0.0, ago_h))).isoformat(timespec="microseconds")
        size = int(dice.expovariate(1 / (2e6 if share < 0.3 else 9e6)))
        path = f"scan_{n * 40 // number:04d}/detector_{n % 2}/image_{n:07d}.tif"
        yield CompletedRow(
            path,
            size,
            1,
            count_chunks(size, _CHUNK_SIZE),
            _CHUNK_SIZE,
            f"{dice.getrandbits(128):032x}",
            time,
            time,
        )


def _status(directory: str, now: datetime, since: str, hours: float) -> UploadStatus:
    return UploadStatus(
        version="sample",
        topic=TOPIC,
        directory=directory,
        host="beamline7",
        pid=4711,
        state="running",
        once=False,
        started=(now - timedelta(hours=hours)).isoformat(timespec="milliseconds"),
        written=now.isoformat(timespec="milliseconds"),
        broker=BrokerStatus("unreachable", "kafka1:9092: Connection refused", since, since),
        rates=Rates(interval_s=60.0),
        backlog=Backlog(8, 8, 49_000_000_000, 93_456),
        oldest=OldestFile("scan_9000/frames.h5", since, 240.0),
        failures=Failures(
            failed=2,
            retrying=1,
            causes=(
                Cause("Permission denied", True, 2, "scan_0012/private/notes.txt"),
                Cause("it changed while it was read", False, 1, "scan_0039/log.csv"),
            ),
        ),
    )
