"""What all fetchers of a download have in common."""

from __future__ import annotations

from typing import Any, NamedTuple


class FetchSettings(NamedTuple):
    """Set once, before the fetchers are started."""

    directory: str
    parts_folder: str  # its name in LOGS
    topic: str
    properties: dict[str, Any]  # of librdkafka
    n_fetchers: int
    ends: dict[int, int] | None  # by partition, the offset to stop at; None to go on forever
    download_regex: str
