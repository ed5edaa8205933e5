"""Clients for administration, made of the properties of producers and consumers."""

from __future__ import annotations

import json
import time
from typing import Any

from dfud.kafka.admin import make_admin_client


def test_an_admin_client_asks_for_no_producer_id() -> None:
    statistics: list[dict[str, Any]] = []
    admin = make_admin_client(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "statistics.interval.ms": 10,
            "stats_cb": lambda text: statistics.append(json.loads(text)),
        }
    )
    deadline = time.monotonic() + 30
    while not statistics and time.monotonic() < deadline:
        admin.poll(0.1)
    assert "eos" not in statistics[0]  # what librdkafka says of idempotence
