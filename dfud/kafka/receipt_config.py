"""How the producer of receipts is configured: by the sections of an upload, as far as receipts allow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from dfud.kafka.config import check_client, merge_sections, open_config
from dfud.kafka.known_settings import names_of
from dfud.kafka.properties import CLIENT_DEFAULTS
from dfud.kafka.user_settings import UserSettings

BATCH_BYTES = 1 << 18  # of receipts; a topic has to take a batch as a whole
_SERIALIZERS = ("key.serializer", "value.serializer")  # of the files' messages
_DEFAULTS: dict[str, Any] = {
    **CLIENT_DEFAULTS,
    "acks": "all",
    "partitioner": "murmur2_random",  # that of the Java client: whoever sends a receipt, a key has one partition
}
_OURS: dict[str, Any] = {
    # Idempotence would keep the order, too, but some of its errors are fatal, and not everybody may use it.
    "max.in.flight.requests.per.connection": 1,
    "message.timeout.ms": 30_000,  # after which the reason is known; it is sent again
    "linger.ms": 20,
    "batch.size": BATCH_BYTES,
    "allow.auto.create.topics": False,  # it would not be compacted
}
_UNUSED = ("enable.idempotence", "enable.gapless.guarantee", "delivery.report.only.error", "transactional.id")


class ReceiptConfig(NamedTuple):
    """How the producer of receipts is configured."""

    path: str  # of the configuration file, to name it in messages
    properties: dict[str, Any]  # of librdkafka
    warnings: tuple[str, ...]


def read_receipt_config(path: str, environment: Mapping[str, str] = os.environ) -> ReceiptConfig:
    """Read the sections ``[broker]`` and ``[producer]``; the former may be all. UsageError for what cannot be."""
    file = open_config(path, environment)
    properties, warnings = merge_sections(file, ("broker", "producer"), environment, left_out=_SERIALIZERS)
    user = UserSettings(properties, "producer")
    warnings.extend(check_client(user, file))
    defaults = {name: value for name, value in _DEFAULTS.items() if user.written(name) is None}
    replaced = {names_of(name) for name in (*_OURS, *_UNUSED)}
    by_user = {name: value for name, value in properties.items() if names_of(name) not in replaced}
    return ReceiptConfig(file.path, {**defaults, **by_user, **_OURS}, tuple(dict.fromkeys(warnings)))
