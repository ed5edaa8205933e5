"""Which receipts a program sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ReceiptSettings(NamedTuple):
    """Which receipts a program sends, and where; checked before anything is started."""

    topic: str  # that they are sent to
    topic_id: str  # of Kafka; "" if the broker does not say
    source: str  # the topic that the files are read from
    receiver: str  # the name that they have
    with_sha256: bool
    properties: Mapping[str, Any]  # of the Kafka producer
    config_path: str  # to name it in messages
