"""Clients that ask the broker questions, and send no messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka.admin import AdminClient

from dfud.kafka.logger import silent_logger

_IDEMPOTENCE = ("enable.gapless.guarantee", "enable.idempotence")


def make_admin_client(properties: Mapping[str, Any]) -> AdminClient:
    """Return a client for administration with the properties of a producer or a consumer; its log is dropped.

    To librdkafka it is a producer, and one that is idempotent asks for a producer id, and fails for good where
    this user may not have one.
    """
    settings = {name: value for name, value in properties.items() if name not in _IDEMPOTENCE}
    return AdminClient({"logger": silent_logger(), **settings})  # type: ignore[dict-item]
