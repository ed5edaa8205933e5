"""What all fetchers of a download have in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from dfud.downloading.runs.settings import RunSettings
from dfud.receipts.settings import ReceiptSettings


class FetchSettings(NamedTuple):
    """Set before the fetchers are started."""

    directory: str
    parts_folder: str  # its name in LOGS
    topic: str
    properties: dict[str, Any]  # of librdkafka
    n_fetchers: int
    ends: Mapping[int, int] | None  # by partition, the offset to stop at; None to go on forever; empty to ask
    download_regex: str
    topic_id: str = ""  # "" if the broker does not say
    is_shared_group: bool = False  # other downloads read the topic, too, as members of the same group
    receipts: ReceiptSettings | None = None  # None if none are wanted
    runs: RunSettings | None = None  # None if each file gets its place as soon as it is complete
    log_level: int = logging.NOTSET  # least level of what is logged
