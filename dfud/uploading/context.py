"""What the parts of one run have in common."""

from __future__ import annotations

import logging
from typing import NamedTuple

from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.session import Session
from dfud.uploading.ledger import Ledger


class UploadContext(NamedTuple):
    """What the parts of one run have in common."""

    once: bool  # upload what is there, and end
    folder: LogsFolder
    session: Session
    since_ns: int  # what has changed since then is the task of this run (ns since 1970)
    ledger: Ledger
    completed: RecordedVersions  # of what is completed; the ledger looks digests up in it
    log: logging.Logger
    keeper: LogsKeeper
    topic_id: str = ""  # of Kafka; "" if the broker does not say
    ends_at: float | None = None  # s, monotonic: no more files are begun then
    canary_s: float | None = None  # between canaries; None for none
