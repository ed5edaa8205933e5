"""The settings of the producer of receipts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.kafka.receipt_config import read_receipt_config


def config(folder: Path, *producer: str) -> str:
    path = folder / "kafka.config"
    path.write_text("\n".join(["[broker]", "bootstrap.servers = kafka:9092", "[producer]", *producer]))
    return str(path)


def test_what_receipts_need_is_set_whatever_an_upload_has(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "enable.idempotence = true",
        "max.in.flight = 5",
        "delivery.timeout.ms = 600000",
        "key.serializer = StringSerializer",
        "value.serializer = DataFileChunkSerializer",
        "compression.type = zstd",
    )
    properties = read_receipt_config(path).properties
    assert properties["max.in.flight.requests.per.connection"] == 1
    assert properties["compression.type"] == "zstd"
    assert properties["acks"] == "all"
    assert {"enable.idempotence", "max.in.flight", "delivery.timeout.ms", "key.serializer"}.isdisjoint(properties)


def test_settings_that_would_lose_receipts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="acks"):
        read_receipt_config(config(tmp_path, "acks = 0"))
