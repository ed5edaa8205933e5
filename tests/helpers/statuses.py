"""The status of an upload, for those that read one."""

from __future__ import annotations

from typing import Any

import msgspec

from dfud.logs.upload_status import UploadStatus

AT = "2026-03-01T10:00:00.000+00:00"
_RUNNING = UploadStatus(
    version="1",
    topic="T",
    directory="/data",
    host="here",
    pid=1,
    state="running",
    once=False,
    started=AT,
    written=AT,
)


def upload_status(**changes: Any) -> UploadStatus:
    """Return the status of an upload that runs, but for the `changes`."""
    return msgspec.structs.replace(_RUNNING, **changes)
